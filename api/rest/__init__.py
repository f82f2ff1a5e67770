"""REST: requests and answers, and the files of the page."""
