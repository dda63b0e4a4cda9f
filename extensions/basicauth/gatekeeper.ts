/** Checks names and passwords against a password file, without letting strangers take the process's time. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  AuthError,
  type HeaderOf,
  type Identity,
  type PendingIdentity,
  type ServerAuthenticator,
} from '../../core/auth.ts'
import type { Clock } from '../../core/clock.ts'
import { elementAt } from '../../core/element-at.ts'
import { peerName } from '../../net/occupancy.ts'
import { Checks, type SlowProof } from './checks.ts'
import type { Htpasswd, User } from './htpasswd.ts'

const challenge = 'Basic realm="kymo", charset="UTF-8"'

/** The longest password that is looked at, in bytes: of more, a thousand rounds of MD5 would take their time. */
const longest = 1024

/** Whatever is wrong is told alike: what is missing, who is not known, what does not fit. */
const wrong = () => new AuthError('the name or the password is missing or wrong', challenge)

/** Lets in who has a name and a password of the file. */
export class Gatekeeper implements ServerAuthenticator {
  readonly #file: () => Htpasswd
  /** Digests of what was right. A user whose line changes is another one, and is checked anew. */
  readonly #proven = new WeakMap<User, Buffer>()
  /** Of this process alone, which makes digests useless to others. */
  readonly #key = randomBytes(32)
  readonly #checks: Checks

  /** `file` throws as long as there is none. */
  constructor(file: () => Htpasswd, clock: Clock) {
    this.#file = file
    this.#checks = new Checks(clock)
  }

  authenticate(header: HeaderOf, peer: string): Identity | PendingIdentity {
    const file = this.#file()
    const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header('authorization') ?? '')?.[1]
    const pair = Buffer.from(encoded ?? '', 'base64')
    const colon = pair.indexOf(':')
    const password = pair.subarray(colon + 1)
    if (colon < 1 || password.length === 0 || password.length > longest) throw wrong()
    const name = pair.toString('utf8', 0, colon)
    const digest = this.#digest(pair)
    const user = file.users.get(name)
    const proven = user && this.#proven.get(user)
    if (user !== undefined && proven !== undefined && timingSafeEqual(proven, digest)) return user.identity
    const hashedName = this.#digest(pair.subarray(0, colon))
    const { proof } = user ?? standIn(file, hashedName)
    if (proof.speed === 'slow')
      return this.#pending({
        name,
        user,
        digest,
        password,
        proof,
        peer: peerName(peer.replace(/:\d+$/, '')),
        hashedName,
      })
    if (!proof.verify(password) || user === undefined) throw wrong()
    return user.identity
  }

  /** Ends all checks. */
  stop(): void {
    this.#checks.stop()
  }

  #pending({ name, user, digest, password, proof, peer, hashedName }: Question): PendingIdentity {
    const wait = this.#checks.check({
      digest: digest.toString('base64'),
      password,
      proof,
      isKnown: user !== undefined,
      peer,
      name: hashedName.toString('base64'),
    })
    const identify = (isRight: boolean): Identity => {
      if (!isRight || user === undefined) throw wrong()
      // The file may have changed meanwhile, or be gone.
      if (this.#file().users.get(name) !== user) throw new Error('the password file has changed')
      this.#proven.set(user, digest)
      return user.identity
    }
    return { identity: wait.isRight.then(identify), cancel: () => wait.leave() }
  }

  #digest(bytes: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(bytes).digest()
  }
}

/** A password that is not told at once. */
interface Question {
  readonly name: string
  readonly user: User | undefined
  readonly digest: Buffer
  readonly password: Buffer
  readonly proof: SlowProof
  readonly peer: string
  readonly hashedName: Buffer
}

/**
 * Whose hash takes the time for a name that is not there: always the same user's, and any of them for any name, so that
 * neither being fast nor being slow tells a name.
 */
function standIn({ list }: Htpasswd, hashedName: Buffer): User {
  return elementAt(list, hashedName.readUInt32BE(0) % list.length)
}
