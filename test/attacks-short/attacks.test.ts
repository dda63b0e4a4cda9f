/** The short form of `npm run test:attacks`: one process, attacked in many ways, with healthy senders beside. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { smallestDearest } from '../attacks/rows-dearest.ts'
import { shortAttacks } from '../attacks/rows-short.ts'
import { quick, Scene, type Sink, startSink } from '../attacks/scene.ts'
import { setup } from '../faults/bundle.ts'

let clean: (() => void) | undefined
let sink: Sink
let scene: Scene
const bundle = () => process.env['KYMO_FAULTS_BUNDLE'] ?? ''

beforeAll(async () => {
  clean = setup()
  sink = await startSink()
  scene = await Scene.set('gateway', bundle(), sink.port, quick)
}, 60_000)
afterAll(async () => {
  await scene.close()
  await sink.close()
  clean?.()
})

test.each([...shortAttacks, ...smallestDearest])(
  '$of: $name',
  async attack => {
    const { faults } = await scene.suffer(attack)
    if (faults.length > 0) {
      // What it left behind is no fault of the next one.
      await scene.close()
      scene = await Scene.set('gateway', bundle(), sink.port, quick)
    }
    expect(faults).toEqual([])
  },
  60_000,
)
