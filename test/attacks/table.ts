/** All attacks, one row each. */
import type { Attack } from './attack.ts'
import { bodyAttacks } from './rows-bodies.ts'
import { compressionAttacks } from './rows-compression.ts'
import { contentAttacks } from './rows-contents.ts'
import { dearestAttacks } from './rows-dearest.ts'
import { http1Attacks } from './rows-http1.ts'
import { http2Attacks } from './rows-http2.ts'
import { peopleAttacks } from './rows-people.ts'
import { shortAttacks } from './rows-short.ts'

/** The table. */
export const attacks: readonly Attack[] = [
  ...bodyAttacks,
  ...compressionAttacks,
  ...contentAttacks,
  ...http2Attacks,
  ...http1Attacks,
  ...peopleAttacks,
  ...dearestAttacks,
]

/** The row of that name. */
export function attackNamed(name: string): Attack {
  const found = [...attacks, ...shortAttacks].find(one => one.name === name)
  if (found === undefined) throw new Error(`there is no attack \`${name}\``)
  return found
}
