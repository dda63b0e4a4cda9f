/** Modules of Node that not every process needs, loaded by who does: TLS takes 4 MiB, and on it stands HTTPS. */
import type * as crypto from 'node:crypto'
import type * as https from 'node:https'
import type * as tls from 'node:tls'

/** TLS, for both sides. */
export const nodeTls = (): typeof tls => process.getBuiltinModule('node:tls')

/** HTTPS, for servers of pages. */
export const nodeHttps = (): typeof https => process.getBuiltinModule('node:https')

/** What certificates and keys are made of. */
export const nodeCrypto = (): typeof crypto => process.getBuiltinModule('node:crypto')
