/** Destinations that behave in every way a destination can: what becomes of the data, and what the books say. */
import { afterAll, describe, test } from 'vitest'
import { table, tell } from './figures.ts'
import { columns, suffer, type Transport } from './hostile.ts'
import { faults } from './hostile-table.ts'
import { modes } from './modes.ts'

const rows: string[][] = []
afterAll(() => tell('Hostile destinations', table(columns, rows)))

describe.each(modes)('with queues in %s', mode => {
  describe.each<Transport>(['grpc', 'http'])('over %s', transport => {
    test.each(faults)('the destination $name', async fault => {
      rows.push(await suffer(fault, transport, mode))
    })
  })
})
