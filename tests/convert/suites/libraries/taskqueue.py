"""What stands for a library of tasks. It calls the broker and the consumers of the application, and awaits nothing."""


class Broker:
    pass


class Consumer:
    pass


class Actor:
    def __init__(self, function):
        self.function = function

    def __call__(self, *args):
        return self.function(*args)

    def send(self, *args):
        get_broker().enqueue(self.function.__name__, args)


def actor(function):
    return Actor(function)


_brokers = []


def set_broker(broker):
    _brokers[:] = [broker]


def get_broker():
    return _brokers[0]


def consume(consumer):
    """What a worker does."""
    for actor, arguments in consumer:
        actor(*arguments)
