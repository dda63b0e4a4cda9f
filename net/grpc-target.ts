/** Where a gRPC client connects to: endpoints as users write them, and the addresses they stand for. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { shownUrl } from '../core/shown-url.ts'

/** An endpoint, taken apart. */
export interface GrpcTarget {
  /** The endpoint without its scheme, for messages. */
  readonly name: string
  /** `:authority` of the requests, unless overridden. */
  readonly authority: string
  readonly host: string
  readonly port: number
  /** Path of a Unix domain socket, in place of host and port. */
  readonly socket: string | undefined
  /** Written with `https://`, which asks for TLS. */
  readonly https: boolean
}

/** One address of a target. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** How an address is shown and told from others. */
export function addressText(address: Address): string {
  if ('path' in address) return `unix:${address.path}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/**
 * Takes apart `host:port`, `dns:///host:port`, `http(s)://host:port` or `unix:///path`.
 * @throws Error saying what is wrong with the endpoint
 */
export function parseTarget(endpoint: string): GrpcTarget {
  const text = endpoint.trim()
  if (text === '') throw new Error('`endpoint` is empty; write host and port, such as `localhost:4317`')
  const unix = /^unix:(?:\/\/)?(.*)$/.exec(text)
  if (unix) {
    if (unix[1] === '') throw new Error(`\`${text}\` names no socket; write \`unix:///path/to/socket\``)
    return { name: text, authority: 'localhost', host: '', port: 0, socket: unix[1], https: false }
  }
  const https = /^https:\/\//i.test(text)
  const dns = /^dns:\/\/([^/]*)\//i.exec(text)
  if (dns && dns[1] !== '') {
    throw new Error(`\`${text}\` names the DNS server ${dns[1]}, which is not supported; write \`dns:///host:port\``)
  }
  const name = text.replace(/^(?:https?:\/\/|dns:\/\/\/|dns:|passthrough:\/\/\/)/i, '').replace(/\/$/, '')
  const parts = /^(?:\[([^\]]*)\]|([^:/?#@\s[\]]*)):(\d+)$/.exec(name)
  if (!parts) throw new Error(complaint(shownUrl(text), name))
  const port = Number(parts[3])
  if (port < 1 || port > 65_535) throw new Error(`\`${text}\`: the port must be from 1 to 65535`)
  const host = parts[1] ?? parts[2]
  if (parts[1] !== undefined && isIP(host) !== 6) throw new Error(`\`${text}\`: \`${host}\` is no IPv6 address`)
  return {
    name,
    authority: name.startsWith(':') ? `localhost${name}` : name,
    host: host || 'localhost',
    port,
    socket: undefined,
    https,
  }
}

function complaint(text: string, name: string): string {
  const example = 'such as `localhost:4317`'
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(name)) {
    return `\`${text}\`: unknown scheme; write host and port, ${example}, or dns:///, http://, https://, unix://`
  }
  if (/^[^/]*:\d+\//.test(name))
    return `\`${text}\` has a path, which gRPC takes none of; write host and port, ${example}`
  if (isIP(name) === 6 || /^[^[]*:.*:\d+$/.test(name)) {
    return `\`${text}\`: write an IPv6 address in brackets, such as \`[::1]:4317\``
  }
  if (/:[^:\]]+$/.test(name)) return `\`${text}\`: the port must be a number, ${example}`
  return `\`${text}\` has no port; write host and port, ${example}`
}

/** The name in a server's certificate for who calls it by this authority. */
export const serverNameOf = (authority: string): string => authority.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')

/** The addresses a target stands for at this moment. */
export async function resolveTarget(target: GrpcTarget): Promise<Address[]> {
  const { host, port, socket } = target
  if (socket !== undefined) return [{ path: socket }]
  if (isIP(host) !== 0) return [{ host, port }]
  const found = await lookup(host, { all: true })
  const hosts = new Set(found.map(entry => entry.address))
  return [...hosts].map(address => ({ host: address, port }))
}
