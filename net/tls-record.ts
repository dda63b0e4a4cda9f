/** How TLS begins, where it is not expected. */

/** The first byte of a TLS handshake, and what to say of one that comes to a port without TLS. */
export const tlsRecord = 0x16
export const tlsAtPlainPort = 'this port speaks plain text, and this is a TLS handshake: is the sender set to TLS?'
