-- Each side is a 10 s mean, so the product is the power of a resistive load that changes slowly within the pane.
select
    u.tenant,
    u.device,
    u.pane,
    (u.`sum` / u.`count`) * (i.`sum` / i.`count`) as `value`,
    least(u.`count`, i.`count`) as n,
    greatest(u.generation, i.generation) as generation,
    greatest(u.as_of, i.as_of) as as_of,
    greatest(u.received, i.received) as received
from panes as u
inner join panes as i
    on u.tenant = i.tenant
        and u.device = i.device
        and u.pane = i.pane
        and i.metric = 'current_ampere'
where u.metric = 'voltage_volt'
