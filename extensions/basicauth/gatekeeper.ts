/** Checks names and passwords against a password file, without letting strangers take the process's time. */
import { createHmac, randomBytes } from 'node:crypto'
import { AuthError, type HeaderOf, type Identity, type ServerAuthenticator } from '../../core/auth.ts'
import type { Htpasswd } from './htpasswd.ts'

const challenge = 'Basic realm="kymo", charset="UTF-8"'

/** Credentials that were right are remembered, so many of them. */
const remembered = 1000
/** Of the time, the share that hashing passwords may take, and how much of it may be saved up, in milliseconds. */
const share = 0.2
const saved = 1000

/** Lets in who has a name and a password of the file. */
export class Gatekeeper implements ServerAuthenticator {
  readonly #file: () => Htpasswd
  /** Digests of credentials that were right for `#checked`; a key of this process makes them useless to others. */
  readonly #known = new Map<string, Identity>()
  readonly #key = randomBytes(32)
  #checked: Htpasswd | undefined
  #credit = saved
  #creditAt = performance.now()

  /** `file` throws as long as there is none. */
  constructor(file: () => Htpasswd) {
    this.#file = file
  }

  authenticate(header: HeaderOf): Identity {
    const file = this.#file()
    if (file !== this.#checked) this.#known.clear()
    this.#checked = file
    const given = header('authorization')
    if (given === undefined) throw new AuthError('a name and a password are missing', challenge)
    const digest = createHmac('sha256', this.#key).update(given).digest('base64')
    const known = this.#known.get(digest)
    if (known !== undefined) return known
    const identity = this.#check(file, given)
    if (identity === undefined) throw new AuthError('the name or the password is wrong', challenge)
    this.#remember(digest, identity)
    return identity
  }

  #check({ users }: Htpasswd, given: string): Identity | undefined {
    const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(given)?.[1]
    const pair = Buffer.from(encoded ?? '', 'base64')
    const colon = pair.indexOf(':')
    if (colon < 0) throw new AuthError('the credentials are not of the scheme Basic', challenge)
    const user = users.get(pair.toString('utf8', 0, colon))
    // A name that is not there takes as long as one that is.
    const [first] = users.values()
    const { verify } = user ?? first ?? {}
    const isRight = verify !== undefined && this.#timed(() => verify(pair.subarray(colon + 1)))
    return isRight ? user?.identity : undefined
  }

  /** Passwords are slow to check on purpose: whoever guesses is asked to come again, and nobody else waits. */
  #timed(verify: () => boolean): boolean {
    const now = performance.now()
    this.#credit = Math.min(saved, this.#credit + (now - this.#creditAt) * share)
    this.#creditAt = now
    if (this.#credit < 0) throw new Error('too many passwords to check')
    try {
      return verify()
    } finally {
      this.#credit -= performance.now() - now
    }
  }

  #remember(digest: string, identity: Identity): void {
    if (this.#known.size >= remembered) {
      const [oldest] = this.#known.keys()
      this.#known.delete(oldest)
    }
    this.#known.set(digest, identity)
  }
}
