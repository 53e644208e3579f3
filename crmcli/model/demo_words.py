"""What the demo company is made of: its settings, process, staff, and its clients' words; nobody of it is real."""

from __future__ import annotations

from dataclasses import replace

from crmcli.model.process import DEFAULT, ListedProduct
from crmcli.model.settings import Settings

SETTINGS = Settings("Самовар и зерно")

NEXT_STEPS = {
    "call": "дозвониться и узнать потребность",
    "discovery": "уточнить объём и сорта",
    "proposal": "спросить, что решили по предложению",
    "meeting": "провести дегустацию",
    "revision": "прислать исправленное предложение",
    "closing": "получить подписанный договор",
}

PROCESS = replace(
    DEFAULT,
    pipelines=tuple(
        replace(
            pipeline,
            stages=tuple(
                replace(stage, next_action=NEXT_STEPS.get(stage.id, stage.next_action)) for stage in pipeline.stages
            ),
        )
        for pipeline in DEFAULT.pipelines
    ),
    products=tuple(
        ListedProduct(name, category, price, use_up_days)
        for name, category, price, use_up_days in (
            ("Ассам TGFOP, 1 кг", "чай", "1450", 30),
            ("Да Хун Пао, 500 г", "чай", "3900", 45),
            ("Сенча, 1 кг", "чай", "1900", 30),
            ("Иван-чай, 1 кг", "чай", "980", 40),
            ("Каркаде, 1 кг", "чай", "720", 60),
            ("Brazil Santos, 1 kg", "кофе", "1650", 14),
            ("Colombia Supremo, 1 kg", "кофе", "2100", 14),
            ("Ethiopia Yirgacheffe, 1 kg", "кофе", "2650", 21),
            ("Espresso blend №1, 1 kg", "кофе", "1480", 10),
            ("Фильтры V60, 100 шт.", "посуда", "640", 50),
            ("Стаканы 250 мл, 50 шт.", "посуда", "410", 14),
            ("Чайник 600 мл", "посуда", "2300", None),
        )
    ),
)

FOUNDER = "Анна Ветрова"
# Who sells beside the founder, and what share of the clients comes to each.
TEAM = (
    ("Игорь Лапин", 26),
    ("Marina Orlova", 22),
    ("Тимур Асланов", 18),
    ("Олеся Гром", 16),
    ("Pavel Sedov", 12),
)
FOUNDER_SHARE = 6

# Source -> how many in a hundred come from there, how much likelier than others they are to say no, how they come in.
SOURCES = {
    "web": (31, 1.0, "web_request"),
    "phone": (17, 0.9, "call"),
    "advertising": (14, 1.35, "call"),
    "referral": (11, 0.55, "call"),
    "social": (8, 1.25, "message"),
    "email": (6, 1.0, "email"),
    "exhibition": (5, 0.9, "meeting"),
    "partner": (3, 0.7, "email"),
    "walk-in": (3, 0.8, "visit"),
    "other": (1, 1.0, "call"),
    None: (1, 1.1, "call"),
}

# Stage -> how many in a hundred say no there, the days spent there, and the touch that belongs to it.
STAGES = {
    "call": (11, (1, 4), "call"),
    "discovery": (8, (2, 6), "call"),
    "proposal": (36, (3, 13), "email"),
    "meeting": (7, (3, 9), "meeting"),
    "revision": (9, (2, 8), "message"),
    "closing": (5, (1, 7), "call"),
}
# Stage -> reason -> weight: the price is named where it is first seen, at the proposal.
REASONS = {
    "call": {"no answer": 6, "no need": 4, "other": 1},
    "discovery": {"no need": 4, "timing": 3, "no budget": 2, "other": 1},
    "proposal": {"price": 10, "competitor": 5, "no budget": 3, "timing": 2, "no answer": 2},
    "meeting": {"competitor": 3, "timing": 2, "price": 1},
    "revision": {"price": 3, "competitor": 2, "timing": 2},
    "closing": {"no budget": 2, "timing": 2, "other": 1},
}
# For these reasons it is worth coming back.
PASSING = ("timing", "no budget", "price")

# Given names of men and of women; family names in the form of men, to which women add an "а" or "a".
MEN = (
    "Алексей Alexey", "Борис Boris", "Виктор Viktor", "Глеб Gleb", "Денис Denis", "Егор Egor", "Иван Ivan",
    "Кирилл Kirill", "Максим Maxim", "Олег Oleg", "Руслан Ruslan", "Степан Stepan", "Фёдор Fedor", "Юрий Yuri",
)  # fmt: skip
WOMEN = (
    "Алина Alina", "Вера Vera", "Галина Galina", "Дарья Daria", "Елена Elena", "Зоя Zoya", "Инна Inna",
    "Ксения Ksenia", "Любовь Lyubov", "Мария Maria", "Нина Nina", "Полина Polina", "София Sofia", "Юлия Yulia",
)  # fmt: skip
FAMILIES = (
    "Абрамов Abramov", "Беляев Belyaev", "Волков Volkov", "Громов Gromov", "Данилов Danilov", "Ершов Ershov",
    "Жуков Zhukov", "Зимин Zimin", "Ильин Ilyin", "Карпов Karpov", "Лаптев Laptev", "Мельников Melnikov",
    "Носов Nosov", "Орехов Orekhov", "Панин Panin", "Рябов Ryabov", "Савин Savin", "Титов Titov", "Уваров Uvarov",
    "Фомин Fomin", "Хохлов Khokhlov", "Цветков Tsvetkov", "Чернов Chernov", "Шилов Shilov", "Яшин Yashin",
)  # fmt: skip
PLACES = (
    "Кофейня", "Чайная", "Пекарня", "Гостиница", "Бистро", "Кондитерская",
    "Cafe", "Coffee bar", "Hotel", "Bakery", "Tea room",
)  # fmt: skip
TITLES = (
    "Берег", "Пять углов", "Маяк", "Верба", "Тишина", "Брусника", "Полдень", "Север",
    "Lighthouse", "Juniper", "Morning", "Corner", "Blue Door", "Aurora",
)  # fmt: skip
STREETS = ("ул. Чайная", "ул. Зерновая", "наб. Тихая", "Садовый пер.", "пр. Примерный")
TOWNS = ("Примерск", "Образцово", "Новый Пример")

WANTS = (
    "чай для офиса, около 3 кг в месяц", "зерно для кофемашины, просят пробник", "посуда для открытия кафе",
    "зелёный чай, крупный лист", "ежемесячная поставка кофе", "подарочные наборы к празднику", "травяные сборы",
    "espresso blend for two machines", "filter coffee for a hotel", "tea for 40 rooms", "paper cups, every two weeks",
)  # fmt: skip
SAID = (
    "нужен счёт на юрлицо", "сравнивают с нынешним поставщиком", "понравился пробник", "просят скидку от 10 кг",
    "решает директор, будет в понедельник", "важна доставка до 9 утра", "открывают вторую точку", "перезвонить позже",
    "asked for a price list in English", "want to taste the Yirgacheffe first", "happy with the last delivery",
)  # fmt: skip
PROMISED = (
    "прислать прайс", "отправить пробник", "уточнить срок доставки", "пересчитать на 20 кг", "прислать договор",
    "send the tasting notes", "call back with the delivery date",
)  # fmt: skip
NOTES = ("заказывает через секретаря", "пишет только в мессенджер", "prefers e-mail", "платит в конце месяца")
