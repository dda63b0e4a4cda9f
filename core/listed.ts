/** A component by its names: what a list of components has of it before somebody needs it. */
import type { Definition, Kind } from './component.ts'

/** One component of a build, which takes memory and time only when it is loaded. */
export interface Listed {
  readonly kind: Kind
  /** Its type, then its aliases. */
  readonly names: readonly string[]
  load(): Promise<Definition>
}

/** What a configuration names: one component by its type or an alias. */
export interface Named {
  readonly kind: Kind
  readonly type: string
}

/** Loads those of `listed` that are among `named`; of a name that is not listed nothing. */
export function loadNamed(listed: readonly Listed[], named: readonly Named[]): Promise<readonly Definition[]> {
  const needed = listed.filter(({ kind, names }) => named.some(one => one.kind === kind && names.includes(one.type)))
  return Promise.all(needed.map(one => one.load()))
}
