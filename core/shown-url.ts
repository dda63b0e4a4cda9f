/** Addresses of destinations in messages: who reads the log is not thereby allowed to send there. */
import { redacted } from './fields.ts'

/** An address as it may be shown: without the user and the password in it, and without its query. */
export function shownUrl(text: string): string {
  const [, address = '', query = '', fragment = ''] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(text) ?? []
  const rest = (query === '' ? '' : `?${redacted}`) + (fragment === '' ? '' : `#${redacted}`)
  if (!text.includes('@')) return address + rest
  // In what is no URL a password may have any character.
  const user = URL.canParse(text) ? /^([^:/]+:\/\/)?[^/]*@/ : /^([a-z][a-z0-9+.-]*:\/\/)?.*@/is
  const isCut = !URL.canParse(text) && !address.includes('@')
  return isCut ? redacted : address.replace(user, `$1${redacted}@`) + rest
}
