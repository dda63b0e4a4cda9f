/** How long profiles are taken. Apart from what takes them, which is loaded when somebody asks. */
import type { ProfileKind } from './profile.ts'

/** Longest profile, in seconds: connections on which nothing moves for a minute are ended. */
export const longestProfile = 50

/** How long is looked when nobody says; as in Go for the CPU. */
const usual: Readonly<Record<ProfileKind, number>> = { cpu: 30, heap: 10 }

/** The seconds that a query asks for; undefined for none that a profile can take. */
export function profileSeconds(kind: ProfileKind, asked: string | undefined): number | undefined {
  const seconds = asked === undefined ? usual[kind] : Number(asked)
  return seconds > 0 && seconds <= longestProfile ? seconds : undefined
}
