/**
 * How the memory of one process is shared out: a limit for all of it, and of that the part that data in flight may take
 * (`Budget`). Pure arithmetic; the process measures and acts on it.
 */
import type { Budget } from './budget.ts'
import { HostKey } from './host.ts'

const mebibyte = 1024 * 1024

/** The least that data may take, so that a tight limit makes Kymo slow, not useless. */
export const leastBudget = 16 * mebibyte

/** What the process finds out about itself and its surroundings, in bytes. */
export interface MemoryFacts {
  /** Memory of the machine. */
  readonly physical: number
  /** Limit of the container, if there is one. */
  readonly container: number | undefined
  /** Resident memory before any data came. */
  baseline: number
  /** What V8 keeps for young objects at most. */
  readonly young: number
  /** What peers may send before anybody decides about it: the windows of all streams at their worst. */
  windows: number
}

/** Limits of a configuration, as the memory_limiter has them; 0 or absent is not set. */
export interface MemoryLimits {
  readonly limitMib?: number | undefined
  readonly limitPercentage?: number | undefined
  readonly spikeLimitMib?: number | undefined
  readonly spikeLimitPercentage?: number | undefined
}

/** The plan of one process. Every change of a fact or limit sets the budget anew. */
export class MemoryPlan {
  readonly facts: MemoryFacts
  readonly #budget: Budget
  readonly #limits = new Set<MemoryLimits>()
  #isLast = false
  /** Resident memory above which nothing new is taken. */
  hard = 0
  /** Resident memory that the process stays under by itself; taking goes on below it. */
  soft = 0

  constructor(budget: Budget, facts: MemoryFacts) {
    this.facts = facts
    this.#budget = budget
    this.#share()
  }

  /** What percentages are of: the container's limit, or the machine's memory. */
  get total(): number {
    const { physical, container } = this.facts
    return container === undefined ? physical : Math.min(container, physical)
  }

  /** Whether the limits leave less than data needs at least, so that `hard` may not hold. */
  get tight(): boolean {
    return this.#room() < leastBudget
  }

  /** Sets the limit to what a configuration says, until the returned function is called; of several the lowest holds. */
  configure(limits: MemoryLimits): () => void {
    this.#limits.add(limits)
    this.#share()
    return () => {
      if (!this.#isLast && this.#limits.delete(limits)) this.#share()
    }
  }

  /** The process stops: who said a limit goes, and the limit holds to the end. */
  keep(): void {
    this.#isLast = true
  }

  get #lowest(): MemoryLimits {
    let lowest: MemoryLimits | undefined
    for (const one of this.#limits) if (lowest === undefined || this.#hardOf(one) < this.#hardOf(lowest)) lowest = one
    return lowest ?? {}
  }

  /** Takes over what was measured. */
  measured(facts: { baseline?: number; windows?: number }): void {
    Object.assign(this.facts, facts)
    this.#share()
  }

  #hardOf(limits: MemoryLimits): number {
    const { limitMib, limitPercentage } = limits
    // Without a limit of the container others live here too: a quarter of the machine is taken, 4 GiB at most.
    const given = this.facts.container === undefined ? Math.min(this.total / 4, 4096 * mebibyte) : this.total
    if (limitMib) return Math.min(limitMib * mebibyte, this.total)
    if (limitPercentage) return (this.total * Math.min(limitPercentage, 100)) / 100
    return given
  }

  #spikeOf(limits: MemoryLimits): number {
    const { limitMib, spikeLimitMib, spikeLimitPercentage } = limits
    if (spikeLimitMib) return spikeLimitMib * mebibyte
    if (spikeLimitPercentage && !limitMib) return (this.total * spikeLimitPercentage) / 100
    return this.hard / 5
  }

  #room(): number {
    const { baseline, young, windows } = this.facts
    return this.soft - baseline - young - windows
  }

  #share(): void {
    const limits = this.#lowest
    this.hard = Math.floor(this.#hardOf(limits))
    this.soft = Math.max(0, Math.floor(this.hard - this.#spikeOf(limits)))
    this.#budget.limit = Math.max(leastBudget, Math.floor(this.#room()))
  }
}

/** Where components find the plan. */
export const memoryPlanKey = new HostKey<MemoryPlan>('memory plan')
