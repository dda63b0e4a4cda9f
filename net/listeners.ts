/**
 * The ports of this process. One server per address for as long as somebody listens there; what is done with accepted
 * connections can be replaced without closing the port.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { messageOf } from '../core/errors.ts'
import { HostKey } from '../core/host.ts'
import type { Presented } from './server-tls.ts'

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
  /** Whether another handler has taken the address over. */
  readonly replaced: boolean
  /** Stops accepting, unless another handler has taken the address over. Accepted connections are left alone. */
  close(): Promise<void>
}

/** Who takes, or took, what is accepted. */
interface Tenant {
  readonly owner: string
  readonly accept: Accept
  /** Whether somebody else may take the port over. */
  yields: boolean
  /** It takes nothing yet: what runs is not what it belongs to. */
  staged: boolean
}

interface Port {
  readonly server: Server
  readonly text: string
  readonly number: number
  readonly address: Address
  /** The last one that is not staged takes what is accepted; when it closes, the one before does again. */
  readonly tenants: Tenant[]
  /** Accepted while nobody took anything here: a port that is to be used, once it is clear that it will be. */
  readonly early: Set<Socket>
  /** Ports of the same number on other addresses, closed for this one; opened again if it closes before they do. */
  readonly inPlaceOf: readonly Port[]
  /** Closed for another one. */
  gaveWay: boolean
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

/** Connections that wait for a staged port; the others hear at once that nobody is there. */
const mostEarly = 100

/** All ports of one process. */
export class Listeners {
  readonly #ports = new Map<string, Port>()
  /** By the addresses of the ports. */
  readonly #presented = new Map<string, Presented>()
  #connections = 0
  #isStaging = false

  /** Accepted connections that are open, of all ports. */
  get connections(): number {
    return this.#connections
  }

  /**
   * A configuration is prepared: ports of these owners may be taken over by whoever listens on them now, and who listens now
   * takes nothing before `commit`. Until then who closes leaves all as it was.
   */
  stage(owners: ReadonlySet<string>): void {
    this.#isStaging = true
    for (const { tenants } of this.#ports.values())
      for (const tenant of tenants) tenant.yields = owners.has(tenant.owner)
  }

  /** Those who listened since `stage` take what is accepted from now on, what waits for them included. */
  commit(): void {
    this.#settle()
    for (const port of this.#ports.values()) {
      for (const tenant of port.tenants) tenant.staged = false
      admitEarly(port)
    }
  }

  /** It comes to nothing. Those who listened since `stage` never take anything, and are to close. */
  abort(): void {
    this.#settle()
  }

  #settle(): void {
    this.#isStaging = false
    for (const { tenants } of this.#ports.values()) for (const tenant of tenants) tenant.yields = false
  }

  /** What whoever serves TLS at `endpoint` presents: kept as long as somebody listens there, whoever that is. */
  presented(endpoint: string, transport = 'tcp'): Presented {
    const address = parseEndpoint(endpoint, transport)
    const isChosen = address === undefined || ('port' in address && address.port === 0)
    const key = isChosen ? '' : keyOf(address)
    const presented = this.#presented.get(key) ?? {}
    if (!isChosen) this.#presented.set(key, presented)
    return presented
  }

  /**
   * Hands connections to `endpoint` over to `accept`.
   * @throws ListenError naming address and owner when the port cannot be opened
   */
  async listen(endpoint: string, accept: Accept, owner: string, transport = 'tcp'): Promise<Binding> {
    const address = parseEndpoint(endpoint, transport)
    if (address === undefined) {
      throw new ListenError(`${owner}: \`endpoint\` ${endpoint} is no address; write it as \`host:port\``)
    }
    const key = keyOf(address)
    const standing = this.#ports.get(key)
    const tenant: Tenant = { owner, accept, yields: false, staged: this.#isStaging }
    const holder = standing?.tenants.at(-1)
    if (standing !== undefined && holder !== undefined) {
      if (!holder.yields) {
        throw new ListenError(
          `${owner}: cannot listen on ${endpoint}: ${holder.owner} listens there already; give one of them another \`endpoint\``,
        )
      }
      standing.tenants.push(tenant)
      return this.#bind(key, standing, tenant)
    }
    const server = createServer({ noDelay: true, keepAlive: true })
    const tenants = [tenant]
    server.on('connection', socket => {
      this.#connections++
      socket.once('close', () => this.#connections--)
      arrived(port, socket)
    })
    let port: Port | undefined
    const inPlaceOf = await this.#open(server, address, endpoint, owner)
    const bound = server.address()
    const isPath = bound === null || typeof bound === 'string'
    const text = isPath ? (bound ?? endpoint) : `${shownHost(bound.address)}:${bound.port}`
    const number = isPath ? 0 : bound.port
    const place = 'path' in address ? address : { ...address, port: number }
    port = { server, text, number, address: place, tenants, early: new Set(), inPlaceOf, gaveWay: false }
    // Port 0 is a new port each time.
    const name = 'port' in address && address.port === 0 ? text : key
    this.#ports.set(name, port)
    return this.#bind(name, port, tenant)
  }

  #bind(key: string, port: Port, tenant: Tenant): Binding {
    const { tenants } = port
    return {
      address: port.text,
      port: port.number,
      get replaced() {
        return port.gaveWay || (tenants.includes(tenant) && !tenant.staged && holderOf(port) !== tenant)
      },
      close: async () => {
        const at = tenants.indexOf(tenant)
        if (at < 0) return
        tenants.splice(at, 1)
        admitEarly(port)
        if (tenants.length > 0) return
        if (this.#ports.get(key) === port) {
          this.#ports.delete(key)
          this.#presented.delete(key)
        }
        if (!port.gaveWay) await shut(port.server)
        for (const before of port.inPlaceOf) if (before.tenants.length > 0) await reopen(before)
      },
    }
  }

  /**
   * Opens a port. All addresses of a machine and one of them cannot be listened on together: where the ports in the way
   * yield, they are closed first, for a moment in which nobody listens. Returns those.
   */
  async #open(server: Server, address: Address, endpoint: string, owner: string): Promise<Port[]> {
    try {
      await open(server, address)
      return []
    } catch (error) {
      const inTheWay = [...this.#ports.values()].filter(
        ({ number, tenants, gaveWay }) =>
          'port' in address && number === address.port && !gaveWay && tenants.every(({ yields }) => yields),
      )
      if (!isInUse(error) || inTheWay.length === 0) throw explain(error, endpoint, owner)
      for (const port of inTheWay) {
        port.gaveWay = true
        await shut(port.server)
      }
      try {
        await open(server, address)
        return inTheWay
      } catch (again) {
        for (const port of inTheWay) await reopen(port)
        throw explain(again, endpoint, owner)
      }
    }
  }

  /** Closes every port. */
  async close(): Promise<void> {
    const ports = [...this.#ports.values()]
    this.#ports.clear()
    for (const port of ports) {
      port.tenants.length = 0
      admitEarly(port)
      await shut(port.server)
    }
  }
}

/** The ports of the process, for components that listen. */
export const listenersKey = new HostKey<Listeners>('listeners')

const keyOf = (address: Address): string => ('path' in address ? address.path : `${address.host ?? ''}:${address.port}`)

/** Who takes what is accepted now. */
const holderOf = ({ tenants }: Port): Tenant | undefined => tenants.findLast(({ staged }) => !staged)

/** Hands a connection on to whoever is there; where that is yet to be known, it waits. */
function arrived(port: Port | undefined, socket: Socket): void {
  const tenant = port && (holderOf(port) ?? holderBefore(port, socket))
  if (tenant !== undefined) return tenant.accept(socket)
  if (port === undefined || port.tenants.length === 0 || port.early.size >= mostEarly) return void socket.destroy()
  port.early.add(socket)
  // Nobody else hears of it yet, and an error that nobody hears ends the process.
  socket.on('error', ignore).once('close', () => port.early.delete(socket))
}

/** Who took what came to this address before a staged port took its place. */
function holderBefore({ inPlaceOf }: Port, { localAddress }: Socket): Tenant | undefined {
  const before = inPlaceOf.find(({ address }) => 'host' in address && address.host === localAddress)
  return before && holderOf(before)
}

/** Those that wait go on, or away, once it is clear who takes them. */
function admitEarly(port: Port): void {
  const tenant = holderOf(port)
  if (tenant === undefined && port.tenants.length > 0) return
  for (const socket of port.early) {
    port.early.delete(socket)
    socket.off('error', ignore)
    if (tenant === undefined) socket.destroy()
    else tenant.accept(socket)
  }
}

const ignore = (): void => {}

/** A host as it stands in front of a port. */
export function shownHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function open(server: Server, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen('path' in address ? { path: address.path } : { host: address.host, port: address.port }, () => {
      server.removeAllListeners('error')
      // Running out of file descriptors: connections wait in the kernel until there are some again.
      server.on('error', () => {})
      resolve()
    })
  })
}

/** Whoever is there now takes what is accepted again. */
async function reopen(port: Port): Promise<void> {
  port.gaveWay = false
  await open(port.server, port.address)
}

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)
const isInUse = (error: unknown): boolean => codeOf(error) === 'EADDRINUSE'

function explain(error: unknown, endpoint: string, owner: string): ListenError {
  const start = `${owner}: cannot listen on ${endpoint}`
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new ListenError(`${start}: the port is in use; stop what uses it or choose another \`endpoint\``)
    case 'EACCES':
      return new ListenError(`${start}: not permitted; choose a port above 1023 or allow this one`)
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ListenError(`${start}: this machine has no such address; correct \`endpoint\``)
    default:
      return new ListenError(`${start}: ${messageOf(error)}`)
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
