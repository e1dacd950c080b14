"""The secret-sharing chain: clients in a circle whose masks cancel in the sum. docs/protocol.md specifies it.

It sees named integers and messages, never a model. Masks come from X25519, HKDF-SHA256 and AES-256-CTR alone.
"""
