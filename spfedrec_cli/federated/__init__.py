"""The round of SpFedRec: cohort, request, client, secure sum, server step."""
