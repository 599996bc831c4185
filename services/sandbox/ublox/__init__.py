"""A twin of u-blox Security Services, so that Keyturn can be tried and tested without the real one.

Source of the behaviour: Security Services REST APIs 1.1.29. What the document leaves open is invented in
`shapes` and nowhere else.
"""
