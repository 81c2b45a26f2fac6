"""One partition a campaign; its key is the campaign's id."""

import dagster as dg

campaigns = dg.DynamicPartitionsDefinition(name="campaigns")
