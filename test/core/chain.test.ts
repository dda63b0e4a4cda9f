import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Chain, type Chained } from '../../core/chain.ts'

class One implements Chained<One> {
  before: One | undefined
  after: One | undefined
  chain: object | undefined
  readonly name: number

  constructor(name: number) {
    this.name = name
  }
}

test('a chain is a Set in the order of what came, of which those that left know nothing more', () => {
  const act = fc.record({ how: fc.constantFrom('add', 'add', 'delete', 'delete', 'clear'), n: fc.nat(20) })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), acts => {
      const chain = new Chain<One>()
      const other = new Chain<One>()
      const all = Array.from({ length: 21 }, (_, name) => new One(name))
      const elsewhere = new One(-1)
      other.add(elsewhere)
      const model = new Set<One>()
      for (const { how, n } of acts) {
        const one = all[n]
        if (how === 'clear' && n > 2) continue
        if (how === 'clear') {
          expect(chain.clear()).toEqual([...model])
          model.clear()
        } else if (how === 'delete') expect(chain.delete(one)).toBe(model.delete(one))
        else if (!model.has(one)) {
          chain.add(one)
          model.add(one)
        }
        expect([...chain]).toEqual([...model])
        expect([chain.size, chain.first]).toEqual([model.size, [...model][0]])
        for (const each of all) {
          expect(chain.has(each)).toBe(model.has(each))
          if (!model.has(each)) expect([each.before, each.after, each.chain]).toEqual([undefined, undefined, undefined])
        }
      }
      expect([chain.delete(elsewhere), other.size]).toEqual([false, 1])
    }),
  )
})

test('the one that is looked at may leave', () => {
  const chain = new Chain<One>()
  for (let name = 0; name < 5; name++) chain.add(new One(name))
  const seen: number[] = []
  for (const one of chain) {
    seen.push(one.name)
    if (one.name % 2 === 0) chain.delete(one)
  }
  expect(seen).toEqual([0, 1, 2, 3, 4])
  expect([...chain].map(({ name }) => name)).toEqual([1, 3])
})
