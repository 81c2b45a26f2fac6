"""Company home pages: fetching them from hosts we did not choose, and reading what comes back.

The host name comes from lead data and the page from whoever owns that host, so everything here treats
both as hostile. `addresses` and `robots` decide, `dialling` connects only where it was told to, `fetch`
acts on a `visit`, `verdict` says what an answer means. `page` reads: what `linked_data` states first, then
what `elements` show; `wording`, `links`, `technology` and `parking` know what to make of it. Vendor APIs do
not belong here: they are known hosts, with credentials and prices.
"""
