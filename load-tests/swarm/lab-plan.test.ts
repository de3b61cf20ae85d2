import {
  hubCommands,
  labNode,
  linkCommands,
  MOST_NODES,
  nodeCommands,
  removeCommands,
  shapeCommands,
  userlandLink,
} from './lab-plan.js';

describe('a node of a lab', () => {
  it('has addresses that nobody else has', () => {
    const nodes = Array.from({ length: MOST_NODES }, (_, number) => labNode(number));
    const taken = nodes.flatMap(({ address, controlAddress, port }) => [address, controlAddress, port]);
    expect(new Set(taken).size).toBe(3 * MOST_NODES);
    expect(hubCommands().flat()).not.toContain(taken.find((address) => address === '10.78.0.254'));
  });

  it('is shaped both ways on one network, and not at all on the other', () => {
    const node = labNode(3);
    const shaped = linkCommands(node, { shaper: 'tbf', mbit: 25 }).filter(([command]) => command === 'tc');
    expect(shaped.map((command) => command.slice(0, command.indexOf('tbf')).join(' '))).toEqual([
      'tc -n n3 qdisc add dev eth0 root',
      'tc qdisc add dev p3 root',
    ]);
    for (const command of shaped) expect(command).toContain('25mbit');
    expect(nodeCommands(node, { congestionControl: 'cubic' }).filter(([command]) => command === 'tc')).toEqual([]);
  });

  it('has the same rate, burst and queue where a program shapes it', () => {
    expect(linkCommands(labNode(3), { shaper: 'userland', mbit: 25 }).filter(([command]) => command === 'tc')).toEqual(
      [],
    );
    const { bytesPerSecond, burstBytes, limitBytes } = userlandLink(labNode(3), 25);
    const [command = []] = shapeCommands('tbf', 25, 'eth0');
    const option = (name: string) => Number.parseInt(command[command.indexOf(name) + 1] ?? '', 10);
    expect([bytesPerSecond * 8e-6, burstBytes, limitBytes]).toEqual([option('rate'), option('burst'), option('limit')]);
  });

  it('goes with its namespace, cards and all', () => {
    expect(removeCommands(labNode(1))).toEqual([['ip', 'netns', 'del', 'n1']]);
  });
});

describe('shaping', () => {
  it.each([
    [100, 625_000],
    [25, 156_250],
  ])('at %d Mbit/s lets 50 ms wait beyond a burst', (mbit, waitingBytes) => {
    const [command = []] = shapeCommands('tbf', mbit, 'eth0');
    const option = (name: string) => Number(command[command.indexOf(name) + 1]);
    expect(option('limit') - option('burst')).toBe(waitingBytes);
  });

  it('sends everything through one class where only HTB is there', () => {
    const commands = shapeCommands('htb', 100, 'eth0');
    expect(commands[0]?.slice(-2)).toEqual(['default', '1']);
    expect(commands[1]).toEqual(expect.arrayContaining(['classid', '1:1', 'rate', '100mbit']));
    expect(commands[2]).toEqual(expect.arrayContaining(['parent', '1:1', 'bfifo']));
  });
});
