"""What we ask of u-blox Security Services, with every documented bound; contradictions are resolved where they stand.

Source: Security Services REST APIs 1.1.29; the section of each request is its ``path``.
"""
