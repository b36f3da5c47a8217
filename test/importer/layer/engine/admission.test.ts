import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Admission, type Ticket } from '../../../../src/importer/layer/engine/admission.ts'

interface Watched {
  readonly ticket: Ticket
  isAdmitted: boolean
  hasTurn: boolean
}

function enter(admission: Admission): Watched {
  const watched = { ticket: admission.enter(), isAdmitted: false, hasTurn: false }
  void watched.ticket.admitted.then(() => {
    watched.isAdmitted = true
  })
  return watched
}

async function takeTurn(watched: Watched): Promise<void> {
  void watched.ticket.takeTurn().then(() => {
    watched.hasTurn = true
  })
  await settled()
}

/** All promises that can be resolved have told who waits for them. */
const settled = async (): Promise<void> => await new Promise(resolve => setImmediate(resolve))

describe('Admission', () => {
  it('admits as many ahead as may be, and the next one when one of them has its turn', async () => {
    const admission = new Admission({ ahead: 2, applying: 1 })
    const layers = [enter(admission), enter(admission), enter(admission), enter(admission)] as const
    const admitted = (): boolean[] => layers.map(({ isAdmitted }) => isAdmitted)
    await settled()
    assert.deepEqual(admitted(), [true, true, false, false])
    await takeTurn(layers[0])
    assert.deepEqual(admitted(), [true, true, true, false])
    assert.equal(layers[0].hasTurn, true)
    await takeTurn(layers[3])
    assert.equal(layers[3].hasTurn, false)
    layers[0].ticket.leave()
    await settled()
    assert.deepEqual([layers[3].hasTurn, ...admitted()], [true, true, true, true, true])
  })

  it('gives turns in the order in which they were asked for, and forgets who has left', async () => {
    const admission = new Admission({ ahead: 0, applying: 1 })
    const layers = [enter(admission), enter(admission), enter(admission)] as const
    for (const layer of layers) await takeTurn(layer)
    layers[1].ticket.leave()
    layers[0].ticket.leave()
    await settled()
    assert.deepEqual(
      layers.map(({ hasTurn }) => hasTurn),
      [true, false, true],
    )
  })

  it('never lets in more than it may, and lets everybody in who waits long enough', async () => {
    const limits = fc.record({
      ahead: fc.integer({ min: 0, max: 3 }),
      applying: fc.integer({ min: 1, max: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(limits, fc.array(fc.nat(9), { maxLength: 40 }), async ({ ahead, applying }, steps) => {
        const admission = new Admission({ ahead, applying })
        const layers = Array.from({ length: 10 }, () => enter(admission))
        const asked = new Set<Watched>()
        const left = new Set<Watched>()
        const check = async (): Promise<void> => {
          await settled()
          const inside = layers.filter(layer => layer.isAdmitted && !left.has(layer))
          const atWork = inside.filter(({ hasTurn }) => hasTurn)
          assert.ok(atWork.length <= applying && inside.length - atWork.length <= ahead)
          const waiting = [...asked].filter(layer => !layer.hasTurn && !left.has(layer))
          assert.ok(waiting.length === 0 || atWork.length === applying)
        }
        for (const step of steps) {
          const layer = layers[step]
          if (layer === undefined || left.has(layer)) continue
          if (asked.has(layer)) {
            layer.ticket.leave()
            left.add(layer)
          } else {
            asked.add(layer)
            await takeTurn(layer)
          }
          await check()
        }
      }),
      { numRuns: 100 },
    )
  })
})
