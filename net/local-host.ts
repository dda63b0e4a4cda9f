/**
 * Keeps web pages from reading what is meant for this machine: a page may make a browser ask any address, and by
 * rebinding its own name to 127.0.0.1 it may even read the answer (DNS rebinding).
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { parseEndpoint } from './listeners.ts'

/** Says why a request is refused; undefined when it is not. */
export type HostCheck = (headers: IncomingHttpHeaders) => string | undefined

/**
 * The check for a server on `endpoint`. Browsers say in Host which name they think they talk to: it must be an address,
 * localhost, or the host that is configured. Where the whole network may connect, any name may be the server's own.
 */
export function hostCheck(endpoint: string, transport?: string): HostCheck {
  const address = parseEndpoint(endpoint, transport)
  const bound = address !== undefined && 'host' in address ? (address.host ?? '') : ''
  const configured = /^(?:\[([^\]]*)\]|([^:]*)):\d*$/.exec(endpoint)?.[2]?.toLowerCase()
  const local = isLoopback(bound)
  return ({ host, origin }) => {
    const name = host === undefined ? undefined : nameOf(host)
    if (local && name !== undefined && !isLocalName(name) && name !== configured) {
      return `this server is not called ${name}; ask for localhost or an address`
    }
    // Pages may not, forms included: they have nothing to do here.
    if (origin !== undefined && !isSame(origin, host)) return 'requests of web pages are not answered'
    return undefined
  }
}

/** Whether only this machine can connect to the host, or has the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** The name in a Host header, without port. */
function nameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host)?.[1]
  return (bracketed ?? host.replace(/:\d*$/, '')).toLowerCase()
}

/** Whether no page can have this name: addresses are never looked up, and localhost is reserved. */
function isLocalName(name: string): boolean {
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')
}

function isSame(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
