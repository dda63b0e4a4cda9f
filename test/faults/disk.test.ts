/** Disks and clocks that fail the queue: what is refused, what is counted, what arrives. */
import { afterAll, describe, expect, test } from 'vitest'
import { rmSync } from 'node:fs'
import { ballast, clockAt, damage, lastWritten, mayMount, mebibyte, mount, scene, segments, tear } from './disk.ts'
import { table, tell } from './figures.ts'
import { total } from './kymo.ts'
import { durable } from './modes.ts'

const rows: string[][] = []
afterAll(() => tell('Disks and clocks', table(['what', 'came of it'], rows)))
const found = (what: string, text: string) => void rows.push([what, text])
const perRequest = 50

describe.skipIf(!durable)('a queue on disk', () => {
  test.skipIf(!mayMount).each([
    ['the disk is full', { disk: 24 }],
    ['`max_size` is reached', { storage: { max_size: 12 * mebibyte } }],
  ])('%s: senders are told to come again, what was taken arrives, and it goes on by itself', async (what, how) => {
    await scene(async ({ ledger, destination, site, send, storage }) => {
      await destination.line('down')
      // About 48 MiB.
      const first = await send(2000, { retry: false, concurrency: 8 })
      expect(first.counts.success).toBeGreaterThan(100)
      expect(first.counts.refused).toBeGreaterThan(100)
      expect(first.counts).toMatchObject({ rejected: 0, unknown: 0, refusedWithoutDelay: 0 })
      const full = await storage()
      expect(full.state).toBe('RecoverableError')
      const { books_faults } = await site.status()
      expect(books_faults).toEqual([])
      expect((await site.exporter('otlp_grpc')).held).toBe(first.counts.success * perRequest)
      await destination.line('up')
      await site.drained()
      expect(ledger.account()).toMatchObject({ missing: 0, harmed: 0, doubledByKymo: 0 })
      await expect
        .poll(() => send(1, { retry: false }).then(({ counts }) => counts.success), { timeout: 10_000 })
        .toBe(1)
      await expect.poll(async () => (await storage()).state).toBe('OK')
      await site.drained()
      expect(ledger.account()).toMatchObject({ missing: 0, harmed: 0 })
      expect(await site.exporter('otlp_grpc')).toMatchObject({ rejected: {}, lost: {}, dead_lettered: {} })
      const told = [...first.said].map(([code, text]) => `${code}: ${text}`).join('; ')
      found(
        what,
        `${first.counts.success} requests taken, ${first.counts.refused} refused (\`${told}\`), storage: \`${full.error}\`; all taken arrived, then OK again`,
      )
    }, how)
  })

  test.skipIf(!mayMount)('others fill the disk, and make room again', async () => {
    await scene(
      async ({ ledger, site, send, directory, destination, storage }) => {
        await send(20)
        await site.drained()
        await destination.line('down')
        const path = ballast(directory)
        const first = await send(1000, { retry: false, concurrency: 8 })
        expect(first.counts.refused).toBeGreaterThan(100)
        expect(first.counts).toMatchObject({ rejected: 0, unknown: 0, refusedWithoutDelay: 0 })
        const { state, error } = await storage()
        expect(state).toBe('RecoverableError')
        rmSync(path)
        // Nobody has to do anything about it.
        await expect
          .poll(() => send(1, { retry: false }).then(({ counts }) => counts.success), { timeout: 15_000 })
          .toBe(1)
        await destination.line('up')
        await site.drained()
        expect(ledger.account()).toMatchObject({ missing: 0, harmed: 0, doubledByKymo: 0 })
        found(
          'others fill the disk',
          `${first.counts.success} taken, ${first.counts.refused} refused, \`${error}\`; taken again once there was room`,
        )
      },
      { disk: 32 },
    )
  })

  test.skipIf(!mayMount)(
    'the directory may only be read: the start fails with what to do, or says so and refuses',
    async () => {
      await scene(
        async ({ site, directory, send }) => {
          mount('-o', 'remount,ro', directory)
          const started = await site.start().then(
            () => '',
            (error: unknown) => String(error),
          )
          if (started === '') {
            const { counts } = await send(1, { retry: false })
            expect(counts).toMatchObject({ refused: 1 })
            found('a read-only directory', 'it starts and refuses')
          } else {
            expect(started).toContain(directory)
            found('a read-only directory', `\`${/error.*/.exec(started)?.[0].slice(0, 300) ?? ''}\``)
          }
        },
        { disk: 16, start: false },
      )
    },
  )

  test('a record is damaged on disk: it is counted as lost, and all others arrive', async () => {
    await scene(async ({ ledger, destination, site, send, directory }) => {
      await destination.line('down')
      await send(200, { concurrency: 1 })
      await site.kill()
      const files = segments(directory)
      expect(files.length).toBeGreaterThan(2)
      damage(files[1], 400_000, 16)
      await destination.line('up')
      await site.start()
      const { books_faults } = await site.drained()
      const { missing } = ledger.account()
      // One record, of one request.
      expect(missing).toBe(perRequest)
      expect(books_faults).toEqual([])
      const books = await site.exporter('otlp_grpc')
      expect(books.lost).toEqual({ corrupt: perRequest })
      expect(books.delivered).toBe(199 * perRequest)
      expect(books.recovered).toBe(200 * perRequest)
      expect(site.child.output()).toContain('a record cannot be read and is given up')
      found(
        'a damaged record',
        `${missing} of ${200 * perRequest} items are missing, booked as ${JSON.stringify(books.lost)}`,
      )
    })
  })

  test.each([
    ['torn off', true],
    ['never written', false],
  ])('the end of the log is %s: what is behind the tear is gone, and no more', async (what, short) => {
    await scene(async ({ ledger, destination, site, send, directory }) => {
      await destination.line('down')
      await send(100, { concurrency: 1 })
      await site.kill()
      const last = segments(directory)
        .filter(path => lastWritten(path) > 0)
        .at(-1)
      tear(last ?? '', 100, short)
      await destination.line('up')
      await site.start()
      const { books_faults } = await site.drained()
      expect(books_faults).toEqual([])
      expect(ledger.account().missing).toBe(perRequest)
      const second = await send(20)
      await site.drained()
      expect(second.counts.success).toBe(20)
      expect(ledger.account()).toMatchObject({ missing: perRequest, harmed: 0 })
      const line =
        site.child
          .output()
          .split('\n')
          .find(one => /torn|cut|tail/.test(one)) ?? ''
      expect(line).not.toBe('')
      found(`the end of the log is ${what}`, `one record is gone; \`${line.slice(25).trim()}\``)
    })
  })

  test.each([
    ['set back by a day', -86_400_000, 0],
    ['set back by a day while it runs', -86_400_000, 1500],
    ['set forward by a day', 86_400_000, 0],
  ])('the clock is %s: everything arrives', async (what, offset, after) => {
    await scene(async ({ ledger, destination, site, send }) => {
      await destination.line('down')
      await send(50)
      await site.kill()
      await site.start({ prefix: clockAt(site.folder, offset, after) })
      const sent = await send(50)
      expect(sent.counts.success).toBe(50)
      if (after > 0) await new Promise(resolve => setTimeout(resolve, after))
      await send(50)
      await destination.line('up')
      const { books_faults } = await site.drained()
      expect(books_faults).toEqual([])
      expect(ledger.account()).toMatchObject({ missing: 0, harmed: 0, acknowledged: 150 * perRequest })
      found(`the clock is ${what}`, 'all arrived')
    })
  })

  test('two processes never have one directory', async () => {
    await scene(async ({ ledger, site, send, directory, destination }) => {
      await destination.line('down')
      await send(20)
      await scene(
        async other => {
          const started = await other.site.start().then(
            () => 'it started',
            (error: unknown) => String(error),
          )
          expect(started).toContain('in use')
          found('a second process', `\`${/error.*/.exec(started)?.[0].slice(0, 300) ?? ''}\``)
        },
        { storage: { directory }, start: false },
      )
      await destination.line('up')
      await site.drained()
      expect(ledger.account()).toMatchObject({ missing: 0 })
      expect(total((await site.exporter('otlp_grpc')).lost)).toBe(0)
    })
  })
})
