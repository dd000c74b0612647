"""The rows of the built-in catalog, a file for each sort of host:

    labs          who makes models and serves them; labs_china, those in China
    hyperscalers  Azure, Google Cloud, AWS
    clouds        other clouds and data platforms that serve many makers' models under their own accounts
    hosts         who serves open models
    routers       who passes requests on to others
    specialists   embeddings, reranking, speech and other single things
    local         servers on the user's own machine or network

A row says only what differs from a host that copies OpenAI's API (`penstock.providers.provider`). Addresses and
variables are the hosts' own documentation's (`documentation`) or those that LiteLLM's users know; where a row has a
quirk whose source is another page, a comment names it.
"""
