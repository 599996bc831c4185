"""A twin of IoTize Taps over TCP and the MQTT relay, made from ``tap-protocol`` facts and the vendor's pages.

It speaks through the same protocol core as our client, in the other role; its users, rights, settings and faults are
its own. Where nobody knows what a real Tap does, the twin does the simplest thing; a dial turns it where it matters.
"""
