/** What a sender is told of a key that OTLP does not have where it stands: its data is passed over, so that newer senders are taken. */
import { type Plan, planOf } from './json-plan.ts'
import { allSignals, type Signal, signals } from './signals.ts'

/** Messages above the items: what is passed over there may be all of a request. */
const above: ReadonlySet<Plan> = new Set(
  allSignals.flatMap(signal => {
    const { request, resourceGroup, scopeGroup } = signals[signal]
    return [request, resourceGroup, scopeGroup].map(planOf)
  }),
)

/** Whether a key that `plan` does not have is worth telling. */
export const isTold = (plan: Plan): boolean => above.has(plan)

/** The keys of requests, in both forms, and the signals they are of. */
const keys: ReadonlyMap<string, Signal> = new Map(
  allSignals.flatMap(signal => {
    const [{ name }] = planOf(signals[signal].request).fields
    return [name, name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)].map(key => [key, signal] as const)
  }),
)

/** Longer names are cut. */
const longest = 64

/** What is told of a key of that name. */
export function unknownKey(name: string): string {
  const shown = name.length > longest ? `${name.slice(0, longest)}…` : name
  const signal = keys.get(name)
  if (signal !== undefined) {
    return `\`${shown}\` holds ${signal}, which are not taken on this path: send them to ${signals[signal].path}`
  }
  if (/^instrumentation_?library/i.test(name)) {
    return `\`${shown}\` is of OTLP before 1.0, and what it holds is not taken: send it as \`scope…\`, or update the sender`
  }
  return `OTLP has no \`${shown}\` where it stands, and what it holds is not taken`
}
