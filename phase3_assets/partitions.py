"""One partition a campaign; its key is the campaign's id, and a tag of its runs tells its name."""

import dagster as dg

CAMPAIGN_TAG = "phase3/campaign"

campaigns = dg.DynamicPartitionsDefinition(name="campaigns")
