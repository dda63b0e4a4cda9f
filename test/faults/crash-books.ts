/**
 * The books of a Kymo that is killed again and again, life by life, against what its senders heard, what its destination
 * got, and what is on its disk between two lives.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { inspectDirectory } from '../../cli/queue-directory.ts'
import type { Destination } from './destination.ts'
import { storageIn } from './hostile.ts'
import { type Account, type Site, type StatusDocument, total } from './kymo.ts'
import type { LoadSender } from './senders.ts'

/** The accounts of all exporters of one life, together. */
interface Books {
  readonly in: number
  readonly recovered: number
  readonly delivered: number
  readonly maybeTwice: number
  readonly held: number
  /** Rejected, dead-lettered, lost. */
  readonly ended: number
  /** Given back to senders, left on disk. */
  readonly left: number
  /** Batches that are being sent. */
  readonly inFlight: number
  readonly faults: readonly string[]
}

/** What stands on the disk when nothing runs: items, over all lives so far. */
interface Disk {
  readonly held: number
  readonly appended: number
  readonly delivered: number
  /** Rejected, dead-lettered, lost, corrupt, returned, handed over. */
  readonly otherwise: number
}

/** What the senders have heard so far, in items; those that were sent again count again. */
interface Heard {
  readonly acknowledged: number
  /** Left without an answer, or still waiting for one: on disk or not. */
  readonly open: number
}

/** One life, from its start to the kill. */
export interface Life {
  /** Of the status document, shortly before the kill. */
  readonly books: Books
  /** Items that were at the destination when that was asked for, and when it had come, since the life began. */
  readonly asked: number
  readonly answered: number
  /** The same when all had arrived that was on its way. */
  readonly arrived: number
  /** Items that the next life says it has found on disk. */
  recovered: number
  readonly disk: Disk
  readonly heard: Heard
}

const sum = (all: Iterable<number>): number => [...all].reduce((a, b) => a + b, 0)

/** Adds up the exporters of a status document. */
export function booksOf({ books, books_faults: faults, queues }: StatusDocument): Books {
  const ours = books.filter(({ kind }) => kind === 'exporter')
  const of = (pick: (one: Account) => number) => sum(ours.map(pick))
  return {
    in: of(one => one.in),
    recovered: of(one => one.recovered),
    delivered: of(one => one.delivered),
    maybeTwice: of(one => one.maybe_twice),
    held: of(one => one.held),
    ended: of(one => total(one.rejected) + total(one.dead_lettered) + total(one.lost)),
    left: of(one => one.out + total(one.returned)),
    inFlight: sum(queues.map(one => one.in_flight)),
    faults,
  }
}

/** What the queues below `folder` hold, read without opening them: nothing may run there, or what is read is of a moment. */
async function diskOf(folder: string): Promise<Disk> {
  const { file_storage: storage } = storageIn('durable', folder)
  const { directory } = storage as { directory: string }
  const { queues } = await inspectDirectory(directory)
  const of = (pick: (one: (typeof queues)[number]) => number) => sum(queues.map(pick))
  return {
    held: of(one => one.items),
    appended: of(one => one.totals.appended),
    delivered: of(one => one.totals.delivered),
    otherwise: of(({ totals: t }) => t.rejected + t.dead_lettered + t.lost + t.corrupt + t.returned + t.handed_over),
  }
}

function heardBy(load: readonly LoadSender[]): Heard {
  const of = (pick: (one: LoadSender) => number) => sum(load.map(one => pick(one) * one.itemsEach))
  return {
    acknowledged: of(({ counts }) => counts.success),
    open: of(({ counts: c }) => c.attempts - c.success - c.refused - c.rejected - c.unreached),
  }
}

/** Takes down each life, and compares. */
export class Lives {
  readonly all: Life[] = []
  readonly #site: Site
  readonly #destination: Destination
  readonly #load: readonly LoadSender[]
  /** Most items of one batch. */
  readonly #largest: number
  /** Items at the destination when this life began. */
  #before = 0
  #shot: Pick<Life, 'books' | 'asked' | 'answered'> | undefined

  constructor(site: Site, destination: Destination, load: readonly LoadSender[], largest: number) {
    this.#site = site
    this.#destination = destination
    this.#load = load
    this.#largest = largest
  }

  /** Items at the destination since this life began. */
  get arrived(): number {
    return this.#destination.ledger.seen - this.#before
  }

  /** Shortly before the kill. */
  async look(): Promise<void> {
    const asked = this.arrived
    const books = booksOf(await this.#site.status())
    this.#shot = { books, asked, answered: this.arrived }
  }

  /** After the kill, when nothing is on its way any more; `durable`: there is a disk to look at. */
  async over(durable: boolean): Promise<void> {
    const shot = this.#shot
    if (shot === undefined) throw new Error('nobody looked before the kill')
    // Before the disk: what is acknowledged later is not on it.
    const heard = heardBy(this.#load)
    const disk = durable ? await diskOf(this.#site.folder) : { held: 0, appended: 0, delivered: 0, otherwise: 0 }
    const life: Life = { ...shot, arrived: this.arrived, recovered: 0, disk, heard }
    this.#checkBooks(life)
    if (durable) this.#checkDisk(life)
    this.all.push(life)
    this.#before = this.#destination.ledger.seen
  }

  /** The next life has begun, and says what it has found. */
  began(recovered: number): void {
    const life = this.all.at(-1)
    if (life === undefined) throw new Error('this is the first life')
    life.recovered = recovered
  }

  /** The books of one life as they stood shortly before its end, against the destination. */
  #checkBooks({ books, asked, answered }: Life): void {
    const where = `life ${this.all.length + 1}`
    expect(books.faults, where).toEqual([])
    const { delivered, held, ended, left, maybeTwice, inFlight } = books
    expect(books.in + books.recovered, `${where}: in + recovered`).toBe(delivered + ended + left + held)
    expect(answered, `${where}: arrived, against delivered by the books`).toBeGreaterThanOrEqual(delivered)
    const most = delivered + maybeTwice + inFlight * this.#largest
    expect(asked, `${where}: arrived, against delivered and on their way`).toBeLessThanOrEqual(most)
  }

  /** What is on disk after a kill, against senders and destination. */
  #checkDisk({ books, arrived, disk, heard }: Life): void {
    const where = `life ${this.all.length + 1}`
    const before = this.all.at(-1)?.disk ?? { delivered: 0, appended: 0, held: 0, otherwise: 0 }
    expect(disk.otherwise, `${where}: neither delivered nor held on disk`).toBe(0)
    expect(disk.appended, `${where}: in = delivered + held, on disk`).toBe(disk.delivered + disk.held)
    expect(disk.appended, `${where}: on disk, against acknowledged`).toBeGreaterThanOrEqual(heard.acknowledged)
    expect(disk.appended, `${where}: on disk, against all that was sent`).toBeLessThanOrEqual(
      heard.acknowledged + heard.open,
    )
    // What has arrived and is not noted is there still, and will be sent again.
    const noted = disk.delivered - before.delivered
    expect(arrived, `${where}: arrived, against noted as delivered`).toBeGreaterThanOrEqual(noted)
    expect(arrived - noted, `${where}: arrived and not noted, against held`).toBeLessThanOrEqual(
      disk.held + books.maybeTwice + books.inFlight * this.#largest,
    )
  }

  /** The life that was not cut short: its books and the destination speak of the same items. */
  last(status: StatusDocument): void {
    const books = booksOf(status)
    const { arrived } = this
    expect(books, 'the last life').toMatchObject({ ended: 0, left: 0, held: 0, faults: [] })
    expect(books.in + books.recovered, 'the last life: in + recovered').toBe(books.delivered)
    expect(arrived, 'the last life: arrived').toBeGreaterThanOrEqual(books.delivered)
    // On a busy machine an attempt may last too long.
    expect(arrived, 'the last life: arrived').toBeLessThanOrEqual(books.delivered + books.maybeTwice)
  }

  /** What is on disk when all is over; what has ended is noted there a moment later. */
  async #noted(): Promise<Disk> {
    for (let tries = 0; ; tries++) {
      const disk = await diskOf(this.#site.folder)
      if (disk.held === 0 || tries === 50) return disk
      await delay(100)
    }
  }

  /** All lives, the last one included, which was not killed: nothing is held by anybody any more. */
  async end(status: StatusDocument): Promise<readonly string[]> {
    const last = booksOf(status)
    const heard = heardBy(this.#load)
    const disk = await this.#noted()
    const { seen } = this.#destination.ledger
    const { all } = this
    for (const [i, life] of all.entries())
      expect(life.recovered, `life ${i + 2}: recovered, against held on disk`).toBe(life.disk.held)
    expect(last.recovered, 'recovered by the last life').toBe(all.at(-1)?.recovered)
    expect(disk).toMatchObject({ held: 0, otherwise: 0, appended: disk.delivered })
    expect(disk.appended).toBeGreaterThanOrEqual(heard.acknowledged)
    expect(disk.appended).toBeLessThanOrEqual(heard.acknowledged + heard.open)
    expect(seen, 'arrived in all lives, against delivered on disk').toBeGreaterThanOrEqual(disk.delivered)
    const again = all.map(({ arrived, disk }, i) => arrived - disk.delivered + (all[i - 1]?.disk.delivered ?? 0))
    // The last life notes all that it delivers.
    expect(seen - disk.delivered, 'arrived and not noted, in all lives').toBe(
      sum(again) + this.arrived - last.delivered,
    )
    const books = { in: sum(all.map(one => one.books.in)), delivered: sum(all.map(one => one.books.delivered)) }
    const onWay = all.map(({ asked, books }) => Math.max(0, asked - books.delivered))
    const percent = (items: number) => `${((100 * items) / seen).toFixed(1)} %`
    return [
      `Books of ${all.length + 1} lives against senders, destination and disk; all of it holds in each life:`,
      '',
      `- shortly before each kill (status document): in + recovered = delivered + rejected + lost + held + given back: ${books.in} in,`,
      `  ${books.delivered} delivered in ${all.length} lives, ${sum(all.map(one => one.books.ended))} rejected or lost;`,
      `- then, arrived at the destination >= delivered by the books: ${sum(all.map(one => one.answered))} >= ${books.delivered}; the difference is within`,
      `  what was being sent then, or had failed after it may have arrived: at most ${Math.max(...onWay)} items in one life;`,
      `- between two lives (the directory, read by nobody who runs): put in over all lives = delivered + held, nothing rejected, lost or`,
      `  corrupt; acknowledged <= put in <= acknowledged + left without an answer: ${heard.acknowledged} <= ${disk.appended} <= ${heard.acknowledged + heard.open};`,
      `- held on disk at each kill = recovered by the next life: ${sum(all.map(one => one.disk.held))} = ${sum(all.map(one => one.recovered))} items;`,
      `- arrived in a life >= noted on disk as delivered: what is not noted is still held, and comes again: ${sum(again)} items in all`,
      `  lives (${percent(sum(again))} of what arrived), at most ${Math.max(...again)} at one kill;`,
      `- over all lives: ${disk.appended} in = ${disk.delivered} delivered + 0 rejected + 0 lost + 0 held; arrived: ${seen}, which is`,
      `  what was delivered, what came again, and ${this.arrived - last.delivered} items of attempts that failed after they had arrived, in the last life.`,
    ]
  }
}
