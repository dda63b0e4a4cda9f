/** What the process finds out about memory, and what it does when there is too little. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { totalmem } from 'node:os'
import { runInNewContext } from 'node:vm'
import type { Budget } from '../core/budget.ts'
import { type Clock, machineClock, type Timer } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { MemoryFacts, MemoryPlan } from '../core/memory.ts'

const mebibyte = 1024 * 1024

/** V8's compilers for code that runs often. */
const compilers = ['opt', 'maglev', 'sparkplug']

/**
 * Makes V8 only interpret, until `compileHot`. Nearly all code of starting runs once; compiling what looks hot in it takes
 * 10 MiB, most of them the compilers themselves, which an idle process keeps.
 */
export function onlyInterpret(): void {
  if (mayCompile()) for (const compiler of compilers) setFlagsFromString(`--no-${compiler}`)
}

/** Lets V8 compile code that runs often, as it does by itself. */
export function compileHot(): void {
  if (mayCompile()) for (const compiler of compilers) setFlagsFromString(`--${compiler}`)
}

/**
 * Sets V8 up for data that comes. Its garbage collector learns of bytes that stand outside its heap and live for
 * milliseconds: by itself V8 marks all that lives after every 64 MiB of them, which are a few dozen requests: half of all CPU
 * time under load. Counted in the limit of the whole heap, and with room to grow before the next marking, they die in the
 * young generation instead, which has to be small (`--max-semi-space-size=4`, an option of the node command) to be swept
 * often enough.
 */
export function tuneForLoad(): void {
  compileHot()
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  setFlagsFromString('--heap-growing-percent=200')
}

/** Whoever forbids compiling when the process starts (`--jitless`, where memory must not become code) is obeyed. */
function mayCompile(): boolean {
  return !nodeOptions().some(option =>
    /^--(?:jitless|lite[-_]mode|no[-_](?:opt|turbofan|maglev|sparkplug))$/.test(option),
  )
}

/** What the node command was given. */
function nodeOptions(): readonly string[] {
  return [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')]
}

function collect(flavor: 'regular' | 'last-resort'): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as (how: { type: 'major'; flavor: typeof flavor }) => void
  gc({ type: 'major', flavor })
}

/** Milliseconds in which others have their turn between the passes of a collection. */
const betweenPasses = 20

/**
 * Collects garbage in one pass, of 15 to 30 ms for a heap as small as ours, and has its memory given back a little later: what
 * one pass frees V8 keeps for 8 s, and when most is gone the passes that give it back are two short ones.
 */
export function collectGarbage(): void {
  collect('regular')
  setTimeout(collectAllGarbage, betweenPasses).unref()
}

/**
 * Collects until nothing more goes, and gives the memory back at once: two to seven passes without a pause, so that it is for
 * when nobody waits, or the door would be shut.
 */
export function collectAllGarbage(): void {
  collect('last-resort')
}

/**
 * Makes a function after whose calls garbage is collected, for what leaves a lot of it and is rare: `pause` milliseconds
 * later, once for all calls until then.
 */
export function garbageAfter(pause: number): () => void {
  let timer: NodeJS.Timeout | undefined
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined
      collectGarbage()
    }, pause).unref()
  }
}

/** What is set aside for what peers send unasked, however few they are. */
export const leastWindows = 16 * mebibyte

/** What is known before anything runs. */
export function surveyMemory(): MemoryFacts {
  const physical = totalmem()
  const limit = process.constrainedMemory()
  return {
    physical,
    // Without a limit the answer is 0 or a number beyond any machine.
    container: limit > 0 && limit < physical ? limit : undefined,
    baseline: process.memoryUsage.rss(),
    young: youngGeneration(nodeOptions()),
    windows: leastWindows,
  }
}

/** Most bytes V8 keeps for young objects: three semi-spaces, as large as the options or the heap's limit make them. */
export function youngGeneration(options: readonly string[]): number {
  for (const option of options) {
    const size = /^--max[-_]semi[-_]space[-_]size=(\d+)$/.exec(option)?.[1]
    if (size !== undefined) return 3 * Number(size) * mebibyte
  }
  return Math.min(3 * 16 * mebibyte, getHeapStatistics().heap_size_limit / 16)
}

/** What the watch looks at and does; another one in tests. */
export interface MemorySenses {
  rss(): number
  /** Collects garbage. Where it `isPressing`, the memory is back at once, else a little later. */
  collect(isPressing: boolean): void
  /** Bytes that peers may have sent unasked; undefined where nobody knows. */
  windows(): number | undefined
  /** Milliseconds of CPU that the process has used. */
  cpu(): number
}

const senses: MemorySenses = {
  windows: () => undefined,
  rss: () => process.memoryUsage.rss(),
  collect: isPressing => (isPressing ? collectAllGarbage() : collectGarbage()),
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
}

/** Least milliseconds between two forced collections; a fifth of it where the door would be shut otherwise. */
const collectEvery = 10_000
/** Milliseconds until what starting needed is no longer needed. */
const settleAfter = 1000
/**
 * After a burst, V8 has no reason to collect what it left: nothing asks for memory. It is collected once resident memory
 * stands this far above what it was after the last collection, and the process has had little to do for so long. Many small
 * requests are never much data at a time, and a collection throws compiled code away.
 */
const leftBehind = 48 * mebibyte
const calmAfter = 2000
const calmEvery = 5000
/** Share of a core that a process uses which has little to do. */
const calmShare = 0.5
/** Milliseconds between two looks. */
const lookEvery = 250
/**
 * The same where next to nothing happens: no more than this share of a core was used, memory is not high, and data in flight
 * is little. Once it grows, the next look comes as soon as ever. Looks cost as much as all else that an idle process does.
 */
const lookRarely = 1000
const quietShare = 0.05
/** Part of the budget that is little data. */
const littleShare = 1 / 100

/**
 * The second belt: samples resident memory, and closes the door while it is over the limit. What was charged may be less
 * than what is there, because garbage waits for its collection.
 */
export class MemoryWatch {
  readonly #plan: MemoryPlan
  readonly #budget: Budget
  readonly #log: Logger
  readonly #senses: MemorySenses
  readonly #clock: Clock
  #timer: Timer | undefined
  #first: NodeJS.Timeout | undefined
  #collected = -Infinity
  /** Resident memory after the last collection, without data. */
  #floor = Infinity
  /** When there was much data or much to do last. */
  #busy = 0
  #looked: { readonly at: number; readonly cpu: number } | undefined
  #isQuiet = false
  #told = false

  constructor(
    plan: MemoryPlan,
    budget: Budget,
    log: Logger,
    given: Partial<MemorySenses> = {},
    clock: Clock = machineClock,
  ) {
    this.#plan = plan
    this.#budget = budget
    this.#log = log
    this.#clock = clock
    this.#senses = { ...senses, ...given }
  }

  start(): void {
    this.settle()
    // What starting left behind would stay until there is load.
    this.#first = setTimeout(() => {
      this.#senses.collect(false)
      this.#first = setTimeout(() => this.settle(), 10 * betweenPasses).unref()
    }, settleAfter)
    this.#first.unref()
    this.#lookAfter(lookEvery)
  }

  #lookAfter(wait: number): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(wait, () => this.#look())
  }

  #look(): void {
    const now = this.#clock.now()
    this.check(now)
    if (!this.#isQuiet) return this.#lookAfter(lookEvery)
    this.#lookAfter(lookRarely)
    this.#budget.onGrowth(this.#budget.limit * littleShare, () => {
      this.#lookAfter(Math.min(lookEvery, now + lookRarely - this.#clock.now()))
    })
  }

  /** Takes what the process holds without data as the baseline. */
  settle(): void {
    this.#floor = this.#senses.rss()
    this.#plan.measured({ baseline: Math.max(0, this.#floor - this.#budget.used) })
  }

  stop(): void {
    clearTimeout(this.#first)
    this.#timer?.cancel()
    this.#budget.onGrowth(Infinity, () => {})
  }

  /** Share of a core that was used since this was asked last; all of it at first. */
  #share(now: number): number {
    const cpu = this.#senses.cpu()
    const last = this.#looked
    this.#looked = { at: now, cpu }
    return last === undefined || now <= last.at ? 1 : (cpu - last.cpu) / (now - last.at)
  }

  /** Looks once. */
  check(now = this.#clock.now()): void {
    const windows = this.#senses.windows()
    if (windows !== undefined && windows !== this.#plan.facts.windows) this.#plan.measured({ windows })
    const { hard, soft } = this.#plan
    const budget = this.#budget
    let rss = this.#senses.rss()
    // What waited in a queue is old when it goes: V8 is in no hurry to collect that, and the limit may be the container's.
    const shut = hard - (hard - soft) / 4
    const share = this.#share(now)
    const isLittle = budget.inFlight < budget.limit * littleShare
    if (!isLittle || share > calmShare) this.#busy = now
    this.#isQuiet = isLittle && share <= quietShare && rss <= soft
    const isHigh = rss > soft && now - this.#collected >= (rss > shut ? collectEvery / 5 : collectEvery)
    const isCalm = now - this.#busy >= calmAfter && now - this.#collected >= calmEvery
    if (isHigh || (isCalm && rss > this.#floor + leftBehind)) {
      this.#collected = now
      this.#senses.collect(isHigh)
      rss = this.#senses.rss()
      this.#floor = this.#floorAt(rss, isCalm)
    } else if (rss < this.#floor) this.#floor = rss
    if (rss <= (budget.pressed ? soft : shut)) {
      this.#open(rss)
      return
    }
    // With nothing left to give back, a closed door would stay closed: what is over belongs to the process itself.
    // What accounts hold is no data: it does not leave because the door is closed.
    if (isLittle) {
      if (!this.#told) this.#log.warn({ rss, limit: hard }, 'memory is over its limit although no data is held')
      this.#told = true
      this.#open(rss)
      return
    }
    if (budget.pressed) return
    budget.pressed = true
    this.#log.warn(
      { rss, limit: hard, held: budget.used, kept: budget.kept },
      'memory is over its limit; new data is refused',
    )
  }

  /** What data takes goes with it. While there is much to do, so does what working on it takes. */
  #floorAt(rss: number, isCalm: boolean): number {
    const left = Math.max(0, rss - this.#budget.inFlight)
    return isCalm ? left : Math.min(this.#floor, left)
  }

  #open(rss: number): void {
    if (!this.#budget.pressed) return
    this.#budget.pressed = false
    this.#log.info({ rss, limit: this.#plan.hard }, 'new data is taken again')
    // Wakes whoever waits for room.
    this.#budget.release(0)
  }
}
