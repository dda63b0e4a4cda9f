/** How far files were read is kept in a storage. */
import { appendFile, rename, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import { done } from '../../../core/delivery.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { MemoryStorage } from '../../support/storage.ts'

import { at, following, line, linesOf, inFolder } from './following.ts'
import { until as eventually } from '../../support/until.ts'

inFolder()

const kept = { storage: 'disk' }

test('with `storage` a file is read on after a restart where it was, under another name, too', async () => {
  const storage = new MemoryStorage()
  await writeFile(at('a.json'), linesOf('one', 'two'))
  const first = following(kept, { storage })
  await first.until('one', 'two')
  await first.stop()
  await rename(at('a.json'), at('b.json'))
  await appendFile(at('b.json'), line('three'))
  const second = following(kept, { storage })
  await second.until('three')
  await second.stop()
  expect([...(storage.marks.get('otlp_json_file')?.stored.keys() ?? [])]).toHaveLength(1)
})

test('what was answered and is not safe yet is read again after a restart', async () => {
  const storage = new MemoryStorage()
  await writeFile(at('a.json'), linesOf('one', 'two'))
  const held: Batch[] = []
  const first = following(kept, { storage, push: batch => void held.push(batch.taken()) })
  await first.until('one', 'two')
  held[0].release(done)
  await first.later()
  // As after `kill -9`: nobody stops it, and what is held never ends. Both lines were read at once.
  storage.marks.get('otlp_json_file')?.close()
  const second = following(kept, { storage })
  await second.until('one', 'two')
})

test('what was taken and is given back is read again, and what is behind it is not skipped', async () => {
  const storage = new MemoryStorage()
  await writeFile(at('a.json'), linesOf('one'))
  let isFirst = true
  const push = (batch: Batch): void => {
    const taken = batch.taken()
    if (isFirst) taken.abandon(new DeliveryError('DELIVERY_STEP_FAILED', 'retry', 'the step failed'))
    else taken.release(done)
    isFirst = false
  }
  const { until, lines } = following(kept, { storage, push })
  await until('one', 'one')
  await appendFile(at('a.json'), line('two'))
  await until('one', 'one', 'two')
  expect(lines.map(({ message }) => message)).toContain('what was read was given back; it is read again')
})

test('a storage that another has still is waited for', async () => {
  const storage = new MemoryStorage()
  const other = await storage.checkpoints('otlp_json_file')
  await writeFile(at('a.json'), line('one'))
  const { status, until, spans } = following(kept, { storage })
  await eventually(() => expect(status.lastError).toContain('in use'))
  expect(spans()).toEqual([])
  other.close()
  await until('one')
  await eventually(() => expect(status.state).toBe('OK'))
})

test('a place that cannot be read is told, and the file is read from where it begins', async () => {
  const storage = new MemoryStorage()
  const before = await storage.checkpoints('otlp_json_file')
  await before.put('1:2', Buffer.from('{'))
  before.close()
  await writeFile(at('a.json'), line('one'))
  const { until, lines } = following(kept, { storage })
  await until('one')
  expect(lines.map(({ message }) => message)).toContain('how far a file was read is not known any more')
})
