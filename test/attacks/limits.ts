/** What has to hold in every attack, as issue 11 has it. */

/** MiB that the process under attack may take: what is written in its configuration. */
export const limitMib = 512
/** Milliseconds for which an input may keep the event loop. */
export const longestBlock = 50
/** Milliseconds in which 99 of 100 healthy requests are answered. */
export const slowestHealthy = 200
/** Seconds after which nothing is left of an attacker who has gone. */
export const goneWithin = 10
/**
 * Above what it was before: MiB resident, bytes charged, connections (healthy senders open some when they have to wait), and
 * share of a core.
 */
export const nearCalm = { rss: 150, charged: 4 << 20, connections: 24, cpu: 0.25 } as const
/** MiB at which the process is ended, so that the machine of the tests goes on. */
export const endedAt = 1536
