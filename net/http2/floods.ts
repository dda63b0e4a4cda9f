/** What a connection sends that is about nothing, and when that is too much. */
import { ConnectionError, ErrorCode, frameHead } from './protocol.ts'

/** Bytes of frames about nothing that may come between calls, and how many of them a second are forgiven. */
const idleMost = 256 * 1024
const idleForgiven = 4096
/**
 * Streams that a client may end, or do wrong, and how many are forgiven each second and for each answer. Less than one for
 * an answer, since it may be made before the client is heard to end the stream.
 */
const vainMost = 1000
const vainForgiven = 33
const vainForgivenAnswer = 0.25
/** What a stream counts that is one more than may be open: clients are told how many that is before they can know better. */
export const oneTooMany = 4
/** How often a connection may change its settings, beside once for each call. */
const settingsMost = 100
/** Answers to pings and settings that wait until the socket takes them. */
const owedMost = 1000

/** Counts for one connection. Everything here throws where it is too much. */
export class Floods {
  #idle = 0
  #vain = 0
  #settings = 0
  #owed = 0
  #last = Date.now()

  /** A call began. */
  began(): void {
    this.#settings--
    this.#idle = Math.max(0, this.#idle - 1024)
  }

  /** A call was answered. */
  answered(): void {
    this.#vain = Math.max(0, this.#vain - vainForgivenAnswer)
  }

  /** A frame with `bytes` of payload that is no part of a call. */
  idle(bytes: number): void {
    this.#idle += frameHead + bytes
    if (this.#idle > idleMost) this.#look('frames that are about nothing')
  }

  /** DATA with `content` bytes for a call, and `more` that are not. */
  data(content: number, more: number): void {
    this.#idle = Math.max(0, this.#idle + frameHead + more - content)
    if (this.#idle > idleMost) this.#look('DATA frames with little or no content')
  }

  /** A stream was ended by its client, or by us for what its client did. */
  vain(weight = 1): void {
    this.#vain += weight
    if (this.#vain > vainMost) this.#look('streams that are ended at once')
  }

  /** Settings came. */
  settings(): void {
    if (++this.#settings > settingsMost) throw tooMuch('settings')
  }

  /** An answer to a ping or to settings waits because nothing is read. */
  owes(): void {
    if (++this.#owed > owedMost) throw tooMuch('pings without reading the answers')
  }

  /** All answers are taken. */
  owesNothing(): void {
    this.#owed = 0
  }

  /** Forgives what time has passed for; what is left may be too much. */
  #look(what: string): void {
    const now = Date.now()
    const seconds = (now - this.#last) / 1000
    this.#last = now
    this.#idle = Math.max(0, this.#idle - idleForgiven * seconds)
    this.#vain = Math.max(0, this.#vain - vainForgiven * seconds)
    if (this.#idle > idleMost || this.#vain > vainMost) throw tooMuch(what)
  }
}

const tooMuch = (what: string): ConnectionError => new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, `too many ${what}`)
