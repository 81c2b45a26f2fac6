"""The verbs of `phase3` by subject: options in words, one use case, what is shown. No rule is kept here."""
