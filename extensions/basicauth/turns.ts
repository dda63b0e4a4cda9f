/** Whose password is checked next, and who has to come again: no sender takes the turn of another. */
import { InternalError } from '../../core/errors.ts'

/** How many checks wait: in all, of one peer, and of one peer for one name. */
const most = { all: 32, peer: 8, name: 4 }

/** A check that has waited this long is given up, in milliseconds: before senders do. */
const patience = 8000

/**
 * Wrong passwords cost their sender the time they took, in milliseconds: what may be used up at once, and how much of it
 * comes back each millisecond. One name uses up its own before that of its peer.
 */
const credit = { peer: { saved: 4000, share: 0.4 }, name: { saved: 1000, share: 0.1 } }

/** Accounts that are kept at most; whose credit is whole needs none. */
const accounts = 4096

/** Who asks for what. */
export interface Asker {
  /** Host or network it comes from. */
  readonly peer: string
  /** The name it says it has, hashed: it may be long. */
  readonly name: string
}

/** One check that waits. */
export interface Turn extends Asker {
  readonly since: number
  /** It will not be checked. */
  givenUp(): void
}

/** The checks that wait. Peers take turns, then the names of a peer, then what came first. */
export class HashTurns<T extends Turn> {
  readonly #peers = new Map<string, Map<string, T[]>>()
  readonly #used = new Map<string, { left: number; at: number }>()
  #waiting = 0

  get waiting(): number {
    return this.#waiting
  }

  /** Lets `turn` wait, and says whether there is room and credit for it. */
  add(turn: T): boolean {
    const { peer, name, since } = turn
    if (this.#left(peer, credit.peer, since) < 0 || this.#left(`${peer} ${name}`, credit.name, since) < 0) return false
    const names = this.#peers.get(peer) ?? new Map<string, T[]>()
    const queue = names.get(name) ?? []
    const own = countOf(names)
    if (queue.length >= most.name || own >= most.peer) return false
    if (this.#waiting >= most.all && !this.#displace(own + 1)) return false
    queue.push(turn)
    names.set(name, queue)
    this.#peers.set(peer, names)
    this.#waiting++
    return true
  }

  /** Takes out whose turn it is. */
  next(now: number): T | undefined {
    for (;;) {
      const [[peer, names] = []] = this.#peers
      if (peer === undefined || names === undefined) return undefined
      const [[name, [turn] = []] = []] = names
      if (name === undefined || turn === undefined)
        throw new InternalError(`${peer} is among those who wait, for nothing`)
      this.remove(turn)
      // Behind the others.
      requeue(names, name)
      requeue(this.#peers, peer)
      if (now - turn.since < patience) return turn
      turn.givenUp()
    }
  }

  /** Takes `turn` out, if it still waits. */
  remove(turn: T): void {
    const names = this.#peers.get(turn.peer)
    const queue = names?.get(turn.name)
    const at = queue?.indexOf(turn) ?? -1
    if (names === undefined || queue === undefined || at < 0) return
    queue.splice(at, 1)
    this.#waiting--
    if (queue.length === 0) names.delete(turn.name)
    if (names.size === 0) this.#peers.delete(turn.peer)
  }

  /** Gives up all that wait. */
  clear(): void {
    for (const names of this.#peers.values()) for (const turn of [...names.values()].flat()) turn.givenUp()
    this.#peers.clear()
    this.#waiting = 0
  }

  /** Takes the time that a check of a wrong password took from who asked for it. */
  charge({ peer, name }: Asker, time: number, now: number): void {
    this.#take(peer, credit.peer, time, now)
    this.#take(`${peer} ${name}`, credit.name, time, now)
  }

  #left(key: string, { saved, share }: { saved: number; share: number }, now: number): number {
    const used = this.#used.get(key)
    return used === undefined ? saved : Math.min(saved, used.left + (now - used.at) * share)
  }

  #take(key: string, terms: { saved: number; share: number }, time: number, now: number): void {
    const left = this.#left(key, terms, now) - time
    this.#used.delete(key)
    this.#used.set(key, { left, at: now })
    const [oldest] = this.#used.keys()
    if (oldest !== undefined && this.#used.size > accounts) this.#used.delete(oldest)
  }

  /** Where there is no room, whoever has the most of it makes some for whoever would have less. */
  #displace(own: number): boolean {
    let largest: Map<string, T[]> | undefined
    for (const names of this.#peers.values())
      if (largest === undefined || countOf(names) > countOf(largest)) largest = names
    if (largest === undefined || countOf(largest) <= own) return false
    const queues = [...largest.values()].toSorted((a, b) => b.length - a.length)
    const last = queues[0]?.at(-1)
    if (last === undefined) return false
    this.remove(last)
    last.givenUp()
    return true
  }
}

function countOf(names: ReadonlyMap<string, readonly unknown[]>): number {
  let count = 0
  for (const queue of names.values()) count += queue.length
  return count
}

/** Moves `key` behind the others, if it is there. */
function requeue<K, V>(map: Map<K, V>, key: K): void {
  const value = map.get(key)
  if (value === undefined) return
  map.delete(key)
  map.set(key, value)
}
