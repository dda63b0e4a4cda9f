/** Slow checks of passwords: one at a time, off the loop, each for as long as somebody waits for it. */
import type { Clock } from '../../core/clock.ts'
import { Hasher } from './hasher.ts'
import { type Proof, sameText } from './htpasswd.ts'
import { type Asker, type Turn, HashTurns } from './turns.ts'

/** A proof by a slow hash. */
export type SlowProof = Extract<Proof, { speed: 'slow' }>

/** What is to be checked. */
export interface PasswordClaim extends Asker {
  /** The same for the same name and password. */
  readonly digest: string
  readonly password: Uint8Array
  readonly proof: SlowProof
  /** Whether the proof is that of the name, and does not only take its time. */
  readonly isKnown: boolean
}

/** One wait for a check. */
export interface Wait {
  /** Whether the password is right; stays open once nobody waits any more. */
  readonly isRight: Promise<boolean>
  /** Does not wait any more. */
  leave(): void
}

interface Check extends Turn, PasswordClaim {
  waiting: number
  readonly isRight: Promise<boolean>
  resolve(isRight: boolean): void
  reject(error: unknown): void
}

const tooMany = 'too many passwords to check'

/** All checks of one password file. */
export class Checks {
  readonly #clock: Clock
  readonly #hasher = new Hasher()
  readonly #turns = new HashTurns<Check>()
  /** Those that wait or run: whoever asks the same meanwhile waits for the same. */
  readonly #open = new Map<string, Check>()
  #running: Check | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Has `claim` checked.
   * @throws Error when there are too many to check before it
   */
  check(claim: PasswordClaim): Wait {
    const check = this.#open.get(claim.digest) ?? this.#add(claim)
    check.waiting++
    return {
      isRight: check.isRight,
      leave: () => {
        check.waiting--
        if (check.waiting === 0) this.#leave(check)
      },
    }
  }

  /** Gives up all of them. */
  stop(): void {
    this.#turns.clear()
    this.#hasher.stop()
  }

  #add(claim: PasswordClaim): Check {
    const { promise: isRight, resolve, reject } = Promise.withResolvers<boolean>()
    const check: Check = {
      ...claim,
      // In memory of its own: what it was cut from goes to the thread with it.
      password: new Uint8Array(claim.password),
      since: this.#clock.now(),
      waiting: 0,
      isRight,
      resolve,
      reject,
      givenUp: () => {
        this.#open.delete(claim.digest)
        reject(new Error(tooMany))
      },
    }
    if (!this.#turns.add(check)) throw new Error(tooMany)
    this.#open.set(claim.digest, check)
    this.#next()
    return check
  }

  #leave(check: Check): void {
    if (this.#open.get(check.digest) === check) this.#open.delete(check.digest)
    if (check === this.#running) this.#hasher.end()
    else this.#turns.remove(check)
  }

  #next(): void {
    if (this.#running !== undefined) return
    const check = this.#turns.next(this.#clock.now())
    if (check === undefined) return
    this.#running = check
    void this.#run(check)
  }

  async #run(check: Check): Promise<void> {
    let isRight = false
    let cost = 0
    try {
      const { hash, recipe } = check.proof
      const { hash: made, took } = await this.#hasher.hash(check.password, recipe)
      cost = took
      isRight = made !== undefined && sameText(made, hash) && check.isKnown
      check.resolve(isRight)
    } catch (error) {
      check.reject(error)
    }
    this.#running = undefined
    if (this.#open.get(check.digest) === check) this.#open.delete(check.digest)
    if (!isRight) this.#turns.charge(check, cost, this.#clock.now())
    this.#next()
  }
}
