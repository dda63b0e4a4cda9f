/**
 * The ports of this process. One server per address for as long as somebody listens there; what is done with accepted
 * connections can be replaced without closing the port.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { HostKey } from '../core/host.ts'

/** Takes an accepted connection. */
export type Accept = (socket: Socket) => void

/** Where to listen: a host and port, or the path of a unix socket. */
export type Address = { readonly host: string | undefined; readonly port: number } | { readonly path: string }

/** A port that cannot be opened. Fatal at start. */
export class ListenError extends Error {
  override name = 'ListenError'
}

/** One use of an address. */
export interface Binding {
  /** Where it listens, with the port the system chose for port 0: `127.0.0.1:4317`, or the path. */
  readonly address: string
  readonly port: number
  /** Stops accepting, unless another handler has taken the address over. Accepted connections are left alone. */
  close(): Promise<void>
}

interface Port {
  readonly server: Server
  readonly owner: string
  accept: Accept
  binding: Binding | undefined
}

/** Reads `host:port`, `:port`, `[::1]:port`, or with transport `unix` a path. Undefined when `endpoint` is none. */
export function parseEndpoint(endpoint: string, transport = 'tcp'): Address | undefined {
  if (transport === 'unix' || endpoint.startsWith('unix:')) {
    const path = endpoint.replace(/^unix:(?:\/\/)?/, '')
    return path === '' ? undefined : { path }
  }
  const parts = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(endpoint.trim())
  if (parts === null) return undefined
  const port = Number(parts[3])
  if (port > 65_535) return undefined
  const host = parts[1] || parts[2] || (transport === 'tcp4' ? '0.0.0.0' : transport === 'tcp6' ? '::' : undefined)
  // As a name it may be either family, and which one would depend on the machine.
  return { host: host === 'localhost' && transport !== 'tcp6' ? '127.0.0.1' : host, port }
}

/** All ports of one process. */
export class Listeners {
  readonly #ports = new Map<string, Port>()
  #connections = 0

  /** Accepted connections that are open, of all ports. */
  get connections(): number {
    return this.#connections
  }

  /**
   * Hands connections to `endpoint` over to `accept`. The same owner may listen again to replace its handler.
   * @throws ListenError naming address and owner when the port cannot be opened
   */
  async listen(endpoint: string, accept: Accept, owner: string, transport = 'tcp'): Promise<Binding> {
    const address = parseEndpoint(endpoint, transport)
    if (address === undefined) {
      throw new ListenError(`${owner}: \`endpoint\` ${endpoint} is no address; write it as \`host:port\``)
    }
    const key = 'path' in address ? address.path : `${address.host ?? ''}:${address.port}`
    const standing = this.#ports.get(key)
    if (standing?.binding !== undefined) {
      if (standing.owner !== owner) {
        throw new ListenError(
          `${owner}: cannot listen on ${endpoint}: ${standing.owner} listens there already; give one of them another \`endpoint\``,
        )
      }
      standing.accept = accept
      standing.binding = this.#bind(key, standing, standing.binding.address, standing.binding.port)
      return standing.binding
    }
    const port: Port = { server: createServer({ noDelay: true, keepAlive: true }), owner, accept, binding: undefined }
    port.server.on('connection', socket => {
      this.#connections++
      socket.once('close', () => this.#connections--)
      port.accept(socket)
    })
    await open(port.server, address, endpoint, owner)
    const bound = port.server.address()
    const isPath = bound === null || typeof bound === 'string'
    const text = isPath ? (bound ?? endpoint) : `${host(bound.address)}:${bound.port}`
    const number = isPath ? 0 : bound.port
    // Port 0 is a new port each time.
    const name = 'port' in address && address.port === 0 ? text : key
    port.binding = this.#bind(name, port, text, number)
    this.#ports.set(name, port)
    return port.binding
  }

  #bind(key: string, port: Port, address: string, number: number): Binding {
    const binding: Binding = {
      address,
      port: number,
      close: async () => {
        if (port.binding !== binding) return
        port.binding = undefined
        if (this.#ports.get(key) === port) this.#ports.delete(key)
        await shut(port.server)
      },
    }
    return binding
  }

  /** Closes every port. */
  async close(): Promise<void> {
    for (const { binding } of this.#ports.values()) await binding?.close()
  }
}

/** The ports of the process, for components that listen. */
export const listenersKey = new HostKey<Listeners>('listeners')

function host(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}

function open(server: Server, address: Address, endpoint: string, owner: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, endpoint, owner)))
    server.listen('path' in address ? { path: address.path } : { host: address.host, port: address.port }, () => {
      server.removeAllListeners('error')
      // Running out of file descriptors: connections wait in the kernel until there are some again.
      server.on('error', () => {})
      resolve()
    })
  })
}

function explain(error: NodeJS.ErrnoException, endpoint: string, owner: string): ListenError {
  const start = `${owner}: cannot listen on ${endpoint}`
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError(`${start}: the port is in use; stop what uses it or choose another \`endpoint\``)
    case 'EACCES':
      return new ListenError(`${start}: not permitted; choose a port above 1023 or allow this one`)
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ListenError(`${start}: this machine has no such address; correct \`endpoint\``)
    case undefined:
    default:
      return new ListenError(`${start}: ${error.message}`)
  }
}

/** Stops accepting; does not wait for the connections, which belong to whoever took them. */
function shut(server: Server): Promise<void> {
  server.close()
  return new Promise(resolve => {
    // The port is free once the handle is closed, one turn later.
    setImmediate(resolve)
  })
}
