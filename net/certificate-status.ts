/** What the status of a component says of the certificates of its servers: it is well when those of all are. */
import type { Status } from '../core/status.ts'

/** One component's. */
export class CertificateStatus {
  readonly #status: Pick<Status, 'set'>
  readonly #isNamed: boolean
  /** What is wrong, by server. */
  readonly #troubles = new Map<string, string>()

  /** `isNamed`: the component has several servers, of which errors say which. */
  constructor(status: Pick<Status, 'set'>, isNamed = false) {
    this.#status = status
    this.#isNamed = isNamed
  }

  /** Tells of one server, which `name` tells apart from the others: what is wrong, or undefined where that is mended. */
  tell(name: string, error: string | undefined): void {
    if (error === undefined) this.#troubles.delete(name)
    else this.#troubles.set(name, error)
    const all = [...this.#troubles]
    if (all.length === 0) this.#status.set('OK')
    else
      this.#status.set('RecoverableError', all.map(([of, one]) => (this.#isNamed ? `${of}: ${one}` : one)).join('; '))
  }
}
