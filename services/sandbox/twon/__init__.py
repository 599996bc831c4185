"""A twin of 2N access devices over HTTP and HTTPS, and of the phones that open their doors over Bluetooth.

Written from 2N's HTTP API manual (the page of ``api/mobilekey/config`` above all) and independent of our client. What
the manual leaves open is decided in ``open_points.py``, and nowhere else.
"""
