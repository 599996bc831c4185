"""A twin of a CENTAGATE server, so that Keyturn can be tried and tested without the real one.

Source of the behaviour: CENTAGATE documentation, Developer Guide, API (System Management, Authorize Authentications,
Return Code). What the document leaves open is invented in `invented` and nowhere else.
"""
