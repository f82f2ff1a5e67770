insert into shown_generation as held (partition, generation)
values ($1, $2)
on conflict (partition) do update
    set generation = greatest(held.generation, excluded.generation)
