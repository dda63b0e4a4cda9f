/** What one process offers to its components, found by key, so that nothing stands in module-level state. */

/** Names a service of the process and its type. */
export class HostKey<T> {
  readonly name: string
  /** Only for the type. */
  declare readonly type: T

  constructor(name: string) {
    this.name = name
  }
}

/** The services of one process. */
export class Host {
  readonly #services = new Map<HostKey<unknown>, unknown>()

  provide<T>(key: HostKey<T>, service: T): this {
    this.#services.set(key, service)
    return this
  }

  /** The service, if it was provided. */
  find<T>(key: HostKey<T>): T | undefined {
    return this.#services.get(key) as T | undefined
  }

  /** The service, which must have been provided. */
  get<T>(key: HostKey<T>): T {
    if (!this.#services.has(key)) throw new Error(`this process offers no ${key.name}`)
    return this.#services.get(key) as T
  }
}
