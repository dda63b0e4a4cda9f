import { expect, test } from 'vitest'
import { firstGroup } from '../../../extensions/file_storage/checkpoint-file.ts'
import { directory, foundOn, namesOn, openFolder, refusal, textOf } from './checkpoint-opening.ts'
import { lines, settled } from './opening.ts'
import { diskError, SimulatedDisk } from './simulated-disk.ts'

const value = (text: string): Buffer => Buffer.from(text)

/** Changes a byte in each place. */
function damage(disk: SimulatedDisk, name: string, ...places: number[]): void {
  const path = `${directory}/${name}`
  // What stands there may be random.
  for (const at of places) disk.damage(path, at, value(disk.image.get(path)?.[at] === 0x3f ? '!' : '?'))
}

/** Groups of one key each, from the first on; the next file begins with all of them. */
async function written(): Promise<{ disk: SimulatedDisk; name: string }> {
  const disk = new SimulatedDisk()
  const folder = openFolder(disk)
  const checkpoints = await folder.take('file_log')
  await checkpoints.put('a', value('1'))
  await checkpoints.put('b', value('1'))
  await checkpoints.put('a', value('2'))
  await folder.close()
  const [name] = await namesOn(disk)
  return { disk, name }
}

test.each<[string, number[], Record<string, string>]>([
  ['both copies of the header', [0, 2048], {}],
  ['a value', [firstGroup + 37], { a: '2', b: '1' }],
  ['a group that a newer value stood in', [firstGroup], { a: '2', b: '1' }],
  ['the only value of a key', [firstGroup + 4096 + 37], { a: '2' }],
])('%s is damaged: it is told, kept aside, and the rest is read', async (_, places, expected) => {
  const { disk, name } = await written()
  damage(disk, name, ...places)
  const { log, errors } = lines()
  const folder = openFolder(disk, { log })
  const checkpoints = await folder.take('file_log')
  expect(textOf(checkpoints)).toEqual(expected)
  const aside = name.replace(/[\da-f]{12}$/, 'damaged')
  expect(errors).toEqual([
    {
      message:
        'checkpoints cannot be read: what they are of is read from an earlier one again, or else from `start_at`',
      fields: {
        path: `${directory}/${name}`,
        owner: 'file_log',
        bytes: expect.any(Number) as number,
        kept_as: `${directory}/${aside}`,
      },
    },
  ])
  await settled()
  expect(await namesOn(disk)).toEqual([expect.not.stringContaining(name), aside])
  await checkpoints.put('c', value('1'))
  await folder.close()
  expect(await foundOn(disk)).toEqual({ ...expected, c: '1' })
})

test('one copy of the header is enough, and a last write that is not whole is as if it had not been', async () => {
  const { disk, name } = await written()
  damage(disk, name, 0, firstGroup + 2 * 4096 + 37)
  const { log, errors, warnings } = lines()
  expect(textOf(await openFolder(disk, { log }).take('file_log'))).toEqual({ a: '1', b: '1' })
  expect(errors).toEqual([])
  expect(warnings).toEqual(['a checkpoint that was being written was cut off; the one before it counts'])
})

test('a value that looks like a group is none, wherever it stands', async () => {
  const disk = new SimulatedDisk()
  const folder = openFolder(disk)
  const checkpoints = await folder.take('file_log')
  await checkpoints.put('a', value('evil'))
  const [first] = await namesOn(disk)
  const group = disk.image.get(`${directory}/${first}`)?.subarray(firstGroup) ?? Buffer.alloc(0)
  // A group of another file, at the start of a block of this one.
  checkpoints.close()
  const again = await folder.take('file_log')
  await again.put('a', value('good'))
  const forged = Buffer.alloc(12_000, 'f')
  group.copy(forged, 4096 - 28 - 8 - 1)
  await again.put('b', forged)
  await again.put('c', value('1'))
  await folder.close()
  const name = (await namesOn(disk)).at(-1) ?? ''
  const image = disk.image.get(`${directory}/${name}`) ?? Buffer.alloc(0)
  const at = image.indexOf('ffff') - 37
  expect([at % 4096, image.subarray(at + 4096, at + 4096 + 45).equals(group.subarray(0, 45))]).toEqual([0, true])
  damage(disk, name, at + 12)
  expect(await foundOn(disk)).toEqual({ a: 'good', c: '1' })
})

test('damage of what a file began with is none of a write that was on its way', async () => {
  const { disk, name } = await written()
  damage(disk, name, firstGroup + 4096 + 37)
  await openFolder(disk).take('file_log')
  await settled()
  const [fresh] = await namesOn(disk)
  expect(disk.image.get(`${directory}/${fresh}`)?.length).toBe(firstGroup + 4096)
  damage(disk, fresh, firstGroup + 37)
  const { log, errors, warnings } = lines()
  expect(textOf(await openFolder(disk, { log }).take('file_log'))).toEqual({})
  expect([errors.length, warnings]).toEqual([1, []])
})

test('a disk that does not let it be read says so, and what it cannot read for good is damaged', async () => {
  const { disk } = await written()
  disk.fault = what => {
    if (what === 'open') throw diskError('EACCES', what)
  }
  const refused = await refusal(openFolder(disk).take('file_log'))
  expect(refused).toMatchObject({ kind: 'sick' })
  expect(refused.message).toBe('the checkpoints of `file_log` in `/disk` cannot be read: EACCES: open')
  disk.fault = what => {
    if (what === 'read') throw diskError('EIO', what)
  }
  const { log, errors } = lines()
  expect(textOf(await openFolder(disk, { log }).take('file_log'))).toEqual({})
  expect(errors).toHaveLength(1)
})
