/**
 * Looks for the dearest input: `node test/attacks/dearest.ts --minutes 60 [--seed N] [--state FILE] [--bundle FILE] [--write]`.
 * Expressions are mutated and sent to the bundle; the dearest by each measure are mutated further. What blocks the loop,
 * takes memory out of all proportion, or ends the process is a find, which is made smaller and kept. `--state` is where it
 * goes on the next time; `--write` adds the worst finds to dearest.json, of which the attacks make rows.
 */
import { readFileSync, rmSync } from 'node:fs'
import { setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { endChildrenWithUs } from '../../bench/processes.ts'
import { allSignals } from '../../proto/signals.ts'
import { scratch } from '../faults/kymo.ts'
import { buildTo } from '../support/bundle.ts'
import { Random } from '../support/otlp.ts'
import { compressors, type Encoding } from './bodies.ts'
import { Archive, type Find, replace, skeleton } from './dearest-archive.ts'
import { type Cost, costOf } from './dearest-cost.ts'
import { type Input, seeds } from './dearest-seeds.ts'
import { type Language, mutate, smaller } from './dearest-mutate.ts'
import { longestBlock } from './limits.ts'
import { Running } from './running.ts'
import { startSink } from './scene.ts'
import type { VictimName } from './victims.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    state: { type: 'string', default: join(tmpdir(), 'kymo-dearest.json') },
    bundle: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})

/** One process after the other: after so many inputs it is another one, of the next configuration. */
const lives: readonly VictimName[] = ['gateway', 'every item', 'admin with a token', 'redaction']
const inputsOfALife = 80
/** Finds that are kept as rows of the attacks. */
const rows = 30
/** How often a find is tried to be made smaller. */
const shrinks = 12

const encodings = Object.keys(compressors) as Encoding[]
const kept = join(import.meta.dirname, 'dearest.json')

/** Whether an input is for this victim. */
const fits = (victim: VictimName) => (input: Input) => (victim === 'admin with a token') === (input.way === 'config')

/** Another way to send it. */
function sentOtherwise(random: Random, input: Input): Input {
  if (input.way === 'config') return input
  switch (random.next(5)) {
    case 0:
      return { ...input, signal: random.pick(allSignals) }
    case 1:
      return { ...input, way: input.language === 'json' ? 'HTTP' : random.pick(['gRPC', 'HTTP'] as const) }
    case 2:
      return { ...input, encoding: random.pick([...encodings, 'identity'] as const) }
    case 3:
      return { ...input, pieces: random.pick([1, 1, 2, 10, 500]) }
    default:
      return { ...input, nothings: random.pick([0, 0, 100, 20_000, 300_000]) }
  }
}

class Search {
  readonly #archive: Archive
  readonly #random: Random
  readonly #bundle: string
  readonly #sink: number
  #running: Running | undefined
  #victim: VictimName = 'gateway'
  tried = 0
  /** Processes that were started. */
  lives = 0

  constructor(archive: Archive, bundle: string, sink: number) {
    this.#archive = archive
    // Goes on where it was, with other numbers.
    this.#random = new Random(Number(values.seed) * 7919 + archive.turn)
    this.#bundle = bundle
    this.#sink = sink
  }

  async #alive(): Promise<Running> {
    if (this.#running !== undefined && this.#running.gone === undefined) return this.#running
    await this.#running?.close()
    this.lives++
    const running = await Running.start(this.#victim, this.#bundle, this.#sink)
    // The first of it compiles code and collects what starting left.
    await running.told(1000)
    this.#running = running
    return running
  }

  async end(): Promise<void> {
    await this.#running?.close()
    this.#running = undefined
  }

  /** One life of a victim. */
  async life(until: number): Promise<void> {
    await this.end()
    this.#victim = lives[this.#archive.turn % lives.length]
    this.#archive.turn++
    const own = seeds.filter(fits(this.#victim))
    for (let i = 0; i < inputsOfALife && performance.now() < until; i++) {
      // At first the seeds as they are, a few of them each life.
      const asIs = i < own.length && this.#archive.turn <= lives.length
      await this.#try({ ...(asIs ? own[i] : this.#next(own)), victim: this.#victim })
    }
  }

  #next(own: readonly Input[]): Input {
    const random = this.#random
    const elite = this.#archive.elite(fits(this.#victim))
    const parent = elite.length === 0 || random.chance(6) ? random.pick(own) : random.pick(elite)
    if (random.chance(5)) return sentOtherwise(random, parent)
    const alike = [...own, ...elite].filter(({ language }: { language: Language }) => language === parent.language)
    const donor = random.pick(alike)
    return { ...parent, body: mutate(random, parent.body, parent.language, donor.body) }
  }

  async #cost(input: Input): Promise<Cost> {
    const running = await this.#alive()
    this.tried++
    const cost = await costOf(running, input)
    if (cost.found === 'hang') await this.end()
    return cost
  }

  async #try(input: Input): Promise<void> {
    const cost = await this.#cost(input)
    this.#archive.note({ input, cost })
    if (cost.found === undefined || this.#archive.knows(input)) return
    // Once may be the machine, or what the one before left.
    await this.end()
    const again = await this.#cost(input)
    if (again.found === undefined) return
    await this.#shrink(input, again)
  }

  /** Keeps the smallest that is found to be still a find. */
  async #shrink(input: Input, cost: Cost): Promise<void> {
    let best = { input, cost }
    let left = shrinks
    for (let better = true; better && left > 0;) {
      better = false
      for (const body of smaller(best.input.body)) {
        if (left-- <= 0) break
        const less = { ...best.input, body }
        const price = await this.#cost(less)
        // What is only just a find would be none on another day.
        if (price.found === undefined || (price.found === 'block' && price.block < 2 * longestBlock)) continue
        best = { input: less, cost: price }
        better = true
        break
      }
    }
    this.#archive.find(best.input, best.cost)
    await this.end()
  }
}

async function main(): Promise<void> {
  endChildrenWithUs()
  setPriority(5)
  const folder = scratch('dearest')
  const bundle = values.bundle ?? join(folder, 'kymo.mjs')
  if (values.bundle === undefined) buildTo(bundle)
  const sink = await startSink()
  const archive = new Archive(values.state)
  const search = new Search(archive, bundle, sink.port)
  const began = performance.now()
  const until = began + Number(values.minutes) * 60_000
  // What was found once stays a row when it is mended.
  const before = JSON.parse(readFileSync(kept, 'utf8')) as readonly Find[]
  const keep = (): void => {
    archive.save()
    if (!values.write) return
    const found = archive.finds().slice(0, rows)
    const known = new Set(found.map(skeleton))
    const all = [...before.filter(find => !known.has(skeleton(find))), ...found]
    replace(kept, `${JSON.stringify(all, null, 2)}\n`)
  }
  const progress = setInterval(() => {
    keep()
    const minutes = ((performance.now() - began) / 60_000).toFixed(0)
    const own = (process.memoryUsage.rss() / 2 ** 20).toFixed(0)
    console.log(
      `${minutes} min: ${search.tried} inputs, ${search.lives} processes, ${archive.finds().length} finds; ${archive.records().join(', ')}; ${own} MiB here`,
    )
  }, 60_000)
  try {
    while (performance.now() < until) {
      // A life that cannot begin, such as for want of a port, is not the end of the search.
      await search.life(until).catch(error => console.log(`a life ended: ${String(error)}`))
    }
  } finally {
    clearInterval(progress)
    await search.end()
    await sink.close()
    keep()
    rmSync(folder, { recursive: true, force: true })
  }
  for (const { found, way, language, victim, encoding, pieces, nothings, body, cost } of archive.finds()) {
    const figures = `block ${cost.block.toFixed(0)} ms, ${cost.peak.toFixed(0)} MiB, ${cost.sent} bytes sent, ${cost.inflated} inflated`
    console.log(
      `${found}: ${figures}: ${way} ${language} to ${victim}, ${encoding} ${pieces} ${nothings}: ${JSON.stringify(body)}`,
    )
  }
}

await main()
