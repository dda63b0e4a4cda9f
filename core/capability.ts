/**
 * What extensions offer to other components, found by key: whoever names an extension says what it needs of it, and a new kind
 * of extension brings its key along and changes nothing here.
 */

/** A key at which a component names an extension that it uses, as its schema says. */
export interface Use {
  /** Keys from the component's section on, with dots: `auth.authenticator`. */
  readonly path: string
  /** Id of the extension. */
  readonly id: string
  /** What the extension has to offer: the name of a capability. */
  readonly needs: string
}

/** Names something that an extension may offer, and its type. */
export class Capability<T = unknown> {
  /** A noun, as errors have it: `storage`. */
  readonly name: string
  /** Only for the type. */
  declare readonly type: T

  constructor(name: string) {
    this.name = name
  }
}

/** One thing that an extension offers. */
export interface Offering<T = unknown> {
  readonly key: Capability<T>
  /** @throws Error as long as it cannot be had */
  get(): T
}

/** Whoever offers something to components that name it. */
export interface Offers {
  readonly offers?: readonly Offering[]
}

/** What is offered under `key`: asked for when somebody wants it, which may be before it can be had. */
export function offered<T>(key: Capability<T>, get: () => T): Offering<T> {
  return { key, get }
}

/** What it offers under `key`; undefined when that is nothing. @throws Error as long as it cannot be had */
export function offeredBy<T>({ offers }: Offers, key: Capability<T>): T | undefined {
  // Only `offered` makes them, and it has compared the types.
  return offers?.find(one => one.key === key)?.get() as T | undefined
}

/** Finds what a running extension offers. @throws Error that names both, and what there is instead */
export type FindOffered = <T>(id: string, key: Capability<T>) => T

/** For a component that names extensions at the keys of `uses`, among those that run. */
export function finderFor(
  user: { readonly id: string; readonly uses?: readonly Use[] },
  running: (id: string) => Offers | undefined,
): FindOffered {
  return <T>(id: string, key: Capability<T>): T => {
    const path = user.uses?.find(use => use.id === id)?.path
    const start = path === undefined ? `${user.id}: the extension ${id}` : `${user.id}: \`${path}\` names ${id}, which`
    const extension = running(id)
    if (extension === undefined) {
      const todo = 'configure it under `extensions` and list it in `service.extensions`'
      throw new Error(`${start} is not running; ${todo}`)
    }
    const found = offeredBy(extension, key)
    if (found !== undefined) return found
    throw new Error(`${start} is no ${key.name}; ${namesOf(extension)}`)
  }
}

function namesOf({ offers = [] }: Offers): string {
  return offers.length === 0 ? 'it offers nothing' : `it is a ${offers.map(({ key }) => key.name).join(' and a ')}`
}
