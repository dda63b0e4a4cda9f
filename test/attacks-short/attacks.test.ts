/** The short form of `npm run test:attacks`: one process, attacked in many ways, with healthy senders beside. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { smallestDearest } from '../attacks/rows-dearest.ts'
import { shortAttacks } from '../attacks/rows-short.ts'
import { quick, Scene, type Sink, startSink } from '../attacks/scene.ts'
import { bundle } from '../support/bundle.ts'

let sink: Sink
let scene: Scene

beforeAll(async () => {
  sink = await startSink()
  scene = await Scene.set('gateway', bundle(), sink.port, quick)
}, 60_000)
afterAll(async () => {
  await scene.close()
  await sink.close()
})

/** How often an attack is tried where only time was at fault: a busy machine makes blocks of what is none. */
const tries = 3

test.each([...shortAttacks, ...smallestDearest])(
  '$of: $name',
  async attack => {
    let faults: readonly string[] = []
    for (let left = tries; left > 0; left--) {
      const suffered = await scene.suffer(attack)
      faults = suffered.faults
      if (faults.length === 0) return
      // What it left behind is no fault of the next one.
      await scene.close()
      scene = await Scene.set('gateway', bundle(), sink.port, quick)
      if (!suffered.onlyTime) break
    }
    expect(faults).toEqual([])
  },
  240_000,
)
