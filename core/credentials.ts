/** Where a configuration says who somebody is: for whoever has to look there when a destination says no. */
import { clientAuthenticatorKey } from './auth.ts'
import type { Use } from './capability.ts'
import { Secret } from './fields.ts'

/** Keys that are named, and how deep they are looked for. */
const mostKeys = 6
const deepest = 6

/** Keys of `config` that hold secrets, and of the extensions it uses to say who it is; each with dots, from its section on. */
export function credentialKeys(config: unknown, uses: readonly Use[]): string[] {
  const found = uses
    .filter(({ needs }) => needs === clientAuthenticatorKey.name)
    .map(({ path, id }) => `${path}: ${id}`)
  const look = (value: unknown, path: readonly string[]): void => {
    if (value instanceof Secret) found.push(path.join('.'))
    else if (typeof value === 'object' && value !== null && path.length < deepest) {
      for (const [key, inner] of Object.entries(value)) look(inner, [...path, key])
    }
  }
  look(config, [])
  return found.slice(0, mostKeys)
}
