/**
 * Keeps web pages from reading what is meant for this machine, or this network: a page may make a browser ask any address,
 * and by rebinding its own name to that address it may even read the answer (DNS rebinding).
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { parseEndpoint } from './listeners.ts'

/** Says why a request is refused; undefined when it is not. */
export type HostCheck = (headers: IncomingHttpHeaders) => string | undefined

/** Who can connect to a server. */
export type Reach = 'unix' | 'loopback' | 'network'

export interface HostRules {
  readonly transport?: string | undefined
  /**
   * What the server is called besides `localhost` and its addresses: `kymo.example.com`, `*.example.com`, `*`. Without a
   * list any name may be its own where the whole network may connect.
   */
  readonly names?: readonly string[] | undefined
}

/** Who can connect to a server on `endpoint`. */
export function reachOf(endpoint: string, transport?: string): Reach {
  const address = parseEndpoint(endpoint, transport)
  if (address === undefined) return 'network'
  if ('path' in address) return 'unix'
  return isLoopback(address.host ?? '') ? 'loopback' : 'network'
}

/**
 * The check for a server on `endpoint`. Browsers say in Host which name they think they talk to: it must be an address,
 * localhost, the host that is configured, or one of `names`; where the network may connect, also one that no page of the
 * internet can have.
 */
export function hostCheck(endpoint: string, { transport, names }: HostRules = {}): HostCheck {
  const reach = reachOf(endpoint, transport)
  const configured = /^(?:\[([^\]]*)\]|([^:]*)):\d*$/.exec(endpoint)?.[2]?.toLowerCase()
  const isNamed = nameTest(names ?? [])
  const knows = (name: string): boolean => {
    if (isLocalName(name) || name === configured || isNamed(name)) return true
    return reach === 'network' && (names === undefined || isPrivateName(name))
  }
  return ({ host, origin }) => {
    const name = host === undefined ? undefined : nameOf(host)
    // No browser reaches a socket.
    if (reach !== 'unix' && name !== undefined && !knows(name)) {
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

/** The name in a Host header, without port, and without the dot that may end it. */
function nameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host)?.[1]
  return (bracketed ?? host.replace(/:\d*$/, '').replace(/\.$/, '')).toLowerCase()
}

/** Whether no page can have this name: addresses are never looked up, and localhost is reserved. */
function isLocalName(name: string): boolean {
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')
}

/**
 * Whether no page of the internet can have this name: one without a dot, as containers of one host have; services of a
 * cluster; `internal`, which is kept free for this. Somebody on the network may, and can connect without a browser.
 */
function isPrivateName(name: string): boolean {
  return /^[a-z0-9_-]+$/.test(name) || /\.(?:svc|svc\.cluster\.local|internal)$/.test(name)
}

/** `*.example.com` stands for all names below, `*` for all names. */
function nameTest(names: readonly string[]): (name: string) => boolean {
  const exact = new Set(names.map(name => name.toLowerCase()))
  const endings = [...exact].filter(name => name.startsWith('*.')).map(name => name.slice(1))
  return name => exact.has('*') || exact.has(name) || endings.some(ending => name.endsWith(ending))
}

function isSame(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
