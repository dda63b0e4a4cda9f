/** Where connections come in: those for which there is no place are closed at once, TLS handshakes that stall make room. */
import type { Socket } from 'node:net'
import type { ConnectionShare } from './occupancy.ts'

/** Who decides whether there is a place. */
export interface Places {
  enter(address: string | undefined): ConnectionShare | undefined
  leave(share: ConnectionShare): void
}

/** TLS handshakes that may go on at once; beyond that the oldest is ended, as one that goes well takes no time. */
const handshakesMost = 500

const shareKey = Symbol('share')
interface Counted {
  [shareKey]?: ConnectionShare
}

/** What a connection is known by on both sides of TLS. */
interface Ends {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
}

/** Counts the connections of one server. */
export class Gate {
  readonly #places: Places
  readonly #isSecure: boolean
  readonly #handshakesMost: number
  /** Behind TLS another socket is seen than the one that came in; they have the same ends. */
  readonly #byEnds = new Map<string, ConnectionShare>()
  readonly #handshakes = new Map<string, Socket>()
  /** Told of a peer whose connection is gone before its handshake had come to an end, if it had begun. */
  onUnshaken: ((peer: string | undefined) => void) | undefined
  /** All that are open. */
  readonly sockets = new Set<Socket>()

  constructor(places: Places, isSecure: boolean, handshakes = handshakesMost) {
    this.#places = places
    this.#isSecure = isSecure
    this.#handshakesMost = handshakes
  }

  /** Handshakes that go on. */
  get handshakes(): number {
    return this.#handshakes.size
  }

  /** Whether there is a place for `socket`; else it is closed. */
  admit(socket: Socket & Counted): boolean {
    const share = this.#places.enter(socket.remoteAddress)
    if (share === undefined) {
      socket.destroy()
      return false
    }
    this.sockets.add(socket)
    socket[shareKey] = share
    const ends = endsOf(socket)
    const isWatched = this.#isSecure && ends !== undefined
    if (isWatched) this.#shake(ends, socket, share)
    socket.once('close', () => {
      this.sockets.delete(socket)
      if (isWatched && this.#byEnds.get(ends) === share) {
        this.#byEnds.delete(ends)
        // Probes of a port say nothing.
        if (this.#handshakes.delete(ends) && socket.bytesRead > 0) this.onUnshaken?.(share.peer.address)
      }
      this.#places.leave(share)
    })
    return true
  }

  #shake(ends: string, socket: Socket, share: ConnectionShare): void {
    this.#byEnds.set(ends, share)
    this.#handshakes.set(ends, socket)
    if (this.#handshakes.size <= this.#handshakesMost) return
    const [oldest] = this.#handshakes
    this.#handshakes.delete(oldest[0])
    if (oldest[1].bytesRead > 0) this.onUnshaken?.(oldest[1].remoteAddress)
    oldest[1].destroy()
  }

  /** The handshake of a connection has gone well, or is told of as failed. */
  shaken(socket: Ends): void {
    const ends = endsOf(socket)
    if (ends !== undefined) this.#handshakes.delete(ends)
  }

  /** What the connection takes up, of which `socket` is one side or the other. */
  shareOf(socket: Ends & Counted): ConnectionShare | undefined {
    const own = socket[shareKey]
    if (own !== undefined) return own
    const ends = endsOf(socket)
    return ends === undefined ? undefined : this.#byEnds.get(ends)
  }
}

/** Unix sockets have none. */
function endsOf({ remoteAddress, remotePort }: Ends): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort}`
}
