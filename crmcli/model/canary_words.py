"""What canaries are made of: names and companies as there are thousands, Russian beside their Latin spelling."""

from __future__ import annotations

RUSSIAN_MEN = (
    "Александр Aleksandr", "Андрей Andrey", "Антон Anton", "Артём Artem", "Вадим Vadim", "Виталий Vitaly",
    "Владимир Vladimir", "Георгий Georgy", "Даниил Daniil", "Дмитрий Dmitry", "Игорь Igor", "Константин Konstantin",
    "Лев Lev", "Михаил Mikhail", "Никита Nikita", "Николай Nikolay", "Павел Pavel", "Роман Roman", "Сергей Sergey",
    "Тимофей Timofey",
)  # fmt: skip
RUSSIAN_WOMEN = (
    "Алла Alla", "Анастасия Anastasia", "Анна Anna", "Валентина Valentina", "Виктория Viktoria", "Евгения Evgenia",
    "Екатерина Ekaterina", "Ирина Irina", "Кристина Kristina", "Лариса Larisa", "Людмила Lyudmila", "Марина Marina",
    "Надежда Nadezhda", "Наталья Natalia", "Оксана Oksana", "Ольга Olga", "Светлана Svetlana", "Татьяна Tatiana",
)  # fmt: skip
# In the form of men; women add an "а" or "a".
RUSSIAN_FAMILIES = (
    "Агапов Agapov", "Баранов Baranov", "Быков Bykov", "Васильев Vasilyev", "Горбунов Gorbunov", "Гусев Gusev",
    "Дроздов Drozdov", "Ефимов Efimov", "Зайцев Zaytsev", "Исаев Isaev", "Калинин Kalinin", "Киселёв Kiselev",
    "Комаров Komarov", "Крылов Krylov", "Лебедев Lebedev", "Макаров Makarov", "Назаров Nazarov", "Никитин Nikitin",
    "Осипов Osipov", "Поляков Polyakov", "Родионов Rodionov", "Сафонов Safonov", "Сорокин Sorokin", "Тарасов Tarasov",
    "Устинов Ustinov", "Филатов Filatov", "Харитонов Kharitonov", "Чистяков Chistyakov", "Широков Shirokov",
    "Яковлев Yakovlev",
)  # fmt: skip
RUSSIAN_COMPANIES = (
    "Строй", "Тех", "Пром", "Агро", "Эко", "Мега", "Альфа", "Вест", "Норд", "Сити", "Дельта", "Инвест", "Транс", "Опт",
    "Регион", "Урал", "Волга", "Балт", "Юг", "Центр",
)  # fmt: skip
RUSSIAN_ENDINGS = (
    "Сервис", "Комплект", "Торг", "Снаб", "Проект", "Ресурс", "Плюс", "Групп", "Лайн", "Мастер", "Дом", "Маркет",
    "Стандарт", "Партнёр", "Системы", "Монтаж", "Логистик", "Контракт",
)  # fmt: skip

ENGLISH_GIVEN = (
    "Alice", "Andrew", "Beth", "Callum", "Charlotte", "Daniel", "Eleanor", "Emma", "George", "Grace", "Hannah", "Harry",
    "Isabel", "Jack", "James", "Karen", "Laura", "Lewis", "Martin", "Megan", "Natalie", "Oliver", "Paul", "Rachel",
    "Robert", "Sophie", "Stephen", "Thomas", "Victoria", "William",
)  # fmt: skip
ENGLISH_FAMILIES = (
    "Atkins", "Bailey", "Barker", "Bennett", "Bradley", "Carter", "Chapman", "Dawson", "Ellis", "Fletcher", "Foster",
    "Gibson", "Harper", "Hudson", "Jenkins", "Knight", "Lawson", "Marsh", "Newton", "Osborne", "Palmer", "Pearson",
    "Reynolds", "Russell", "Saunders", "Spencer", "Turner", "Walsh", "Webster", "Yates",
)  # fmt: skip
ENGLISH_COMPANIES = (
    "Ashford", "Beacon", "Birch", "Bridge", "Cedar", "Crown", "Dale", "Eastgate", "Elm", "Falcon", "Grange", "Harbour",
    "Heath", "Kings", "Meadow", "Mill", "Northfield", "Oak", "Park", "Ridge",
)  # fmt: skip
ENGLISH_ENDINGS = (
    "Supplies", "Trading", "Services", "Partners", "Interiors", "Logistics", "Catering", "Solutions", "Foods", "Design",
    "Wholesale", "Systems", "Builders", "Motors", "Stores", "Consulting", "Events", "Print",
)  # fmt: skip
